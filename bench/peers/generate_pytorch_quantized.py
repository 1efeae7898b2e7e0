"""PyTorch's dynamic int8 (torch.ao.quantization.quantize_dynamic). int8: of nn.Linear, the plain way, which leaves GPT-2's
Conv1D layers in float32; int8 all: those made nn.Linear first. The model is quantised after loading, as it has no saved
form: that is part of init and of the memory."""
import warnings

from generate_pytorch import generator, load
from language import *


def linear(conv):
    """Conv1D [in, out] as nn.Linear."""
    import torch
    layer = torch.nn.Linear(*conv.weight.shape)
    layer.weight = torch.nn.Parameter(conv.weight.detach().t().contiguous())
    layer.bias = torch.nn.Parameter(conv.bias.detach())
    return layer


def convolutions(model):
    from transformers.pytorch_utils import Conv1D
    return [(parent, name, child) for parent in model.modules() for name, child in parent.named_children() if isinstance(child, Conv1D)]


def measure(args, precision):
    warnings.filterwarnings("ignore")
    model, init, version = load(args, "float32")
    import torch
    found = convolutions(model)
    if precision == "int8 all" and not found:
        sys.exit()  # the plain way has them all
    start = clock_ms()
    if precision == "int8 all":
        for parent, name, child in found:
            setattr(parent, name, linear(child))
    total = sum(isinstance(m, torch.nn.Linear) for m in model.modules()) + (len(found) if precision == "int8" else 0)
    model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    done = sum(isinstance(m, torch.ao.nn.quantized.dynamic.Linear) for m in model.modules())
    init += clock_ms() - start
    text_line(args, "pytorch-quantized", version, precision, init, generator(args, model), weights(args.model),
              note=f"{done} of {total} linear layers in int8; quantised at loading, the file is float32")


if __name__ == "__main__":
    run_each("pytorch-quantized", ("int8", "int8 all"), measure)
