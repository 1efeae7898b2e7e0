"""CTranslate2: converted once by its own converter from the Hugging Face folder, float32 and int8."""
from language import *


def convert(args, target, quantization):
    import transformers
    from ctranslate2.converters import TransformersConverter
    try:
        TransformersConverter(args.model).convert(target, quantization=quantization)
    except ValueError as e:
        if "No conversion is registered" in str(e):
            raise Unsupported(f"it has no converter for {settings(args.model)['model_type']}")
        raise


def measure(args, precision):
    need("ctranslate2", "transformers", "torch", "tokenizers")
    import ctranslate2
    kind = {"fp32": "float32", "int8": "int8_float32"}[precision]
    folder = converted(args, "ct2-" + kind, lambda to: convert(args, to, kind))
    start = clock_ms()
    model = ctranslate2.Generator(folder, device="cpu", compute_type=kind, inter_threads=1, intra_threads=args.threads)
    init = clock_ms() - start
    with open(os.path.join(folder, "vocabulary.json"), encoding="utf-8") as f:
        names = json.load(f)
    prompt = [names[i] for i in ids_of(args)]

    def generate():
        return model.generate_batch([prompt], max_length=args.tokens, min_length=args.tokens, sampling_topk=1, end_token=[],
                                    include_prompt_in_result=False)[0].sequences_ids[0]
    text_line(args, "ctranslate2", ctranslate2.__version__, precision, init, generate, [folder], note=f"runs as {model.compute_type}")


if __name__ == "__main__":
    run_each("ctranslate2", ("fp32", "int8"), measure)
