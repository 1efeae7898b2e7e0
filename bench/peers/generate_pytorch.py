"""PyTorch through transformers' generate(): float32 and bfloat16 weights."""
from language import *


def load(args, dtype):
    need("torch", "transformers")
    import torch, transformers
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    start = clock_ms()
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, dtype)).eval()
    return model, clock_ms() - start, f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"


def generator(args, model):
    import torch
    ids = torch.tensor([ids_of(args)])
    model.generation_config.eos_token_id = None  # no text ends early

    def generate():
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=args.tokens,
                                 pad_token_id=0)
        return out[0, ids.shape[1]:]
    return generate


def measure(args, precision):
    model, init, version = load(args, {"fp32": "float32", "bf16": "bfloat16"}[precision])
    text_line(args, "pytorch", version, precision, init, generator(args, model), weights(args.model))


if __name__ == "__main__":
    run_each("pytorch", ("fp32", "bf16"), measure)
