"""Reads the results of bench/nets.sh or bench/onnx.sh: per net, threads and precision, ours beside the best peer. Standard library only."""
import json, math, os, sys

out = sys.argv[1]
found = {}
print(f"{'net':12} {'threads':>7} {'precision':9} {'hone ms':>9} {'peer ms':>9}  {'ratio':>5}  {'hone MB':>8} {'peer MB':>8}  best peer")
for folder in sorted(os.listdir(out)):
    path = os.path.join(out, folder, "results.json")
    if not os.path.exists(path):
        continue
    rows = json.load(open(path))
    net, threads = folder.rsplit("-", 1)
    for precision in ("fp32", "int8"):
        def of(engine_is_hone):
            return [r for r in rows if (r["engine"] == "hone") == engine_is_hone and r["precision"].startswith(precision)
                    and not r["model"].endswith(".h5" if engine_is_hone else "\0") and "hone's" not in r["precision"]]
        ours, peers = of(True), of(False)
        if not ours or not peers:
            continue
        a, b = min(ours, key=lambda r: r["warm_ms"]), min(peers, key=lambda r: r["warm_ms"])
        found.setdefault((threads, precision), []).append(a["warm_ms"] / b["warm_ms"])
        print(f"{net:12} {threads:>7} {precision:9} {a['warm_ms']:9.4f} {b['warm_ms']:9.4f}  {a['warm_ms'] / b['warm_ms']:5.2f}  "
              f"{a['peak_rss_mb']:8.1f} {min(r['peak_rss_mb'] for r in peers):8.1f}  {b['engine']} {b['precision']}")
for (threads, precision), ratios in sorted(found.items()):
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"geometric mean of {len(ratios)} nets, {threads} threads, {precision}: {mean:.2f}")
