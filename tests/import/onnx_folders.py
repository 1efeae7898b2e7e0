"""Folders with language models in ONNX, as optimum and onnxruntime-genai write them: made by these packages from a random
model, each with what the interpreter has. FORMS lists what can be made here."""
import json, os, shutil, subprocess, sys, warnings
warnings.filterwarnings("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import onnxruntime
import transformers
from pathlib import Path

FORMS = []
try:
    from optimum.exporters.onnx import export, main_export
    from optimum.exporters.tasks import TasksManager
    from optimum.onnx.graph_transformations import merge_decoders
    FORMS += ["optimum", "optimum-no-cache", "optimum-merged", "optimum-pair", "optimum-first"]
except ImportError as e:
    print("without optimum:", e)
try:
    import onnxruntime_genai
    from onnxruntime_genai.models import builder
    FORMS += ["genai-fp32", "genai-int4"]
except ImportError as e:
    print("without onnxruntime-genai:", e)

OLD = {"optimum-merged": "decoder_model_merged.onnx", "optimum-pair": "decoder_with_past_model.onnx",
       "optimum-first": "decoder_model.onnx"}


def make_old(source, folder, form):
    """decoder_model.onnx without a past, decoder_with_past_model.onnx, and both in one: as optimum wrote them before it
    had one file for all."""
    model = transformers.AutoModelForCausalLM.from_pretrained(source)
    config = TasksManager.get_exporter_config_constructor("onnx", model, task="text-generation",
                                                          library_name="transformers")
    first, rest = Path(folder) / "decoder_model.onnx", Path(folder) / "decoder_with_past_model.onnx"
    export(model, config(model.config, use_past=True, use_past_in_inputs=False), first, opset=17)
    export(model, config(model.config, use_past=True, use_past_in_inputs=True), rest, opset=17)
    if form == "optimum-merged":
        merge_decoders(first, rest, save_path=Path(folder) / "decoder_model_merged.onnx")
    for path in (first, rest):
        if path.name != OLD[form]:
            os.remove(path)
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        if os.path.exists(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), folder)


def make(source, folder, form):
    """The folder; returns its ONNX file."""
    os.makedirs(folder, exist_ok=True)
    if form.startswith("genai"):
        subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", folder, "-p",
                        form[6:], "-e", "cpu", "-c", folder + "-cache"], check=True, capture_output=True)
    elif form in OLD:
        make_old(source, folder, form)
    else:
        main_export(source, folder, task="text-generation" + "-with-past" * (form == "optimum"), no_post_process=True,
                    do_validation=False)
    return os.path.join(folder, OLD.get(form, "model.onnx"))


def scores_of(path, ids, made):
    """What ONNX Runtime gives for the token behind ids, and behind each of `made` but the last."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shapes, outs = {i.name: i.shape for i in session.get_inputs()}, [o.name for o in session.get_outputs()]
    said, genai = 0, os.path.join(os.path.dirname(path), "genai_config.json")
    if os.path.exists(genai):  # its models do not say how large a head is
        with open(genai) as f:
            said = json.load(f)["model"]["decoder"]["head_size"]
    past = {k: np.zeros((1, s[1], 0, said or s[3]), np.float32) for k, s in shapes.items() if k.startswith("past")}
    step, total = list(ids), 0
    for token in made:
        total += len(step)
        feeds = dict(input_ids=np.array([step], np.int64), attention_mask=np.ones((1, total), np.int64),
                     position_ids=np.arange(total - len(step), total, dtype=np.int64)[None],
                     use_cache_branch=np.array([total > len(step)]), **past)
        result = dict(zip(outs, session.run(outs, {k: v for k, v in feeds.items() if k in shapes})))
        yield result["logits"][0, -1]
        past = {k: result[k.replace("past_key_values", "present")] for k in past}
        step = [token]
        if not past:
            ids, total = [*ids, token], 0
            step = ids


def greedy(path, ids, n):
    made = []
    for _ in range(n):
        made.append(0)
        made[-1] = int([*scores_of(path, ids, made)][-1].argmax())
    return made
