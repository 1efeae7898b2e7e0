/* ops_tf.c: TensorFlow's functions as tf.keras wrote them into models (TFOpLambda), by the operation they equal. */
#include <stdio.h>
#include <string.h>

#include "keras_ops.h"

static const char *const functions[][2] = {
    {"add", "Add"},
    {"subtract", "Subtract"},
    {"multiply", "Multiply"},
    {"divide", "Divide"},
    {"truediv", "Divide"},
    {"divide_no_nan", ""},
    {"pow", "Power"},
    {"maximum", "Maximum"},
    {"minimum", "Minimum"},
    {"mod", "Mod"},
    {"floormod", "Mod"},
    {"floordiv", "FloorDivide"},
    {"squared_difference", "SquaredDifference"},
    {"equal", "Equal"},
    {"not_equal", "NotEqual"},
    {"greater", "Greater"},
    {"greater_equal", "GreaterEqual"},
    {"less", "Less"},
    {"less_equal", "LessEqual"},
    {"logical_and", "LogicalAnd"},
    {"logical_or", "LogicalOr"},
    {"logical_not", "LogicalNot"},
    {"negative", "Negative"},
    {"neg", "Negative"},
    {"abs", "Absolute"},
    {"exp", "Exp"},
    {"log", "Log"},
    {"log1p", "Log1p"},
    {"expm1", "Expm1"},
    {"sqrt", "Sqrt"},
    {"rsqrt", "Rsqrt"},
    {"square", "Square"},
    {"sin", "Sin"},
    {"cos", "Cos"},
    {"tan", "Tan"},
    {"tanh", "Tanh"},
    {"sinh", "Sinh"},
    {"cosh", "Cosh"},
    {"sign", "Sign"},
    {"floor", "Floor"},
    {"ceil", "Ceil"},
    {"round", "Round"},
    {"reciprocal", "Reciprocal"},
    {"erf", "Erf"},
    {"is_nan", "Isnan"},
    {"sigmoid", "Sigmoid"},
    {"relu", "Relu"},
    {"relu6", "Relu6"},
    {"softmax", "Softmax"},
    {"log_softmax", "LogSoftmax"},
    {"softplus", "Softplus"},
    {"softsign", "Softsign"},
    {"silu", "Silu"},
    {"swish", "Silu"},
    {"gelu", "Gelu"},
    {"elu", "Elu"},
    {"selu", "Selu"},
    {"leaky_relu", "LeakyRelu"},
    {"log_sigmoid", "LogSigmoid"},
    {"reduce_mean", "Mean"},
    {"reduce_sum", "Sum"},
    {"reduce_max", "Max"},
    {"reduce_min", "Min"},
    {"reduce_prod", "Prod"},
    {"reduce_logsumexp", "Logsumexp"},
    {"reduce_variance", "Var"},
    {"reduce_std", "Std"},
    {"reduce_any", "Any"},
    {"reduce_all", "All"},
    {"argmax", "Argmax"},
    {"argmin", "Argmin"},
    {"reshape", "Reshape"},
    {"expand_dims", "ExpandDims"},
    {"squeeze", "Squeeze"},
    {"transpose", "Transpose"},
    {"concat", "Concatenate"},
    {"stack", "Stack"},
    {"split", "Split"},
    {"unstack", "Unstack"},
    {"getitem", "GetItem"},
    {"matmul", "Matmul"},
    {"einsum", "Einsum"},
    {"where", "Where"},
    {"clip_by_value", "Clip"},
    {"cast", "Cast"},
    {"pad", "Pad"},
    {"tile", "Tile"},
    {"repeat", "Repeat"},
    {"reverse", "Flip"},
    {"gather", "Take"},
    {"zeros_like", "ZerosLike"},
    {"ones_like", "OnesLike"},
    {"cumsum", "Cumsum"},
    {"identity", "Copy"},
    {"stop_gradient", "StopGradient"},
    {"one_hot", "OneHot"},
};

hone_status hone__kop_tf_lambda(kctx *c, klayer *l, kcall *call)
{
    const char *function = hone__json_text(l->config, "function");
    const char *dot = function ? strrchr(function, '.') : NULL, *name = dot ? dot + 1 : function;
    const klayer_kind *kind = NULL;
    for (size_t i = 0; name && i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i][0], name) == 0 && *functions[i][1]) kind = hone__kop_kind_find(functions[i][1]);
    if (!kind)
        return hone__k_refuse(c, "TensorFlow's function '%s' is not supported: replace it by one of Keras's layers",
                              function ? function : "?");
    if (strcmp(name, "gelu") == 0 && !json_object_get(call->kwargs, "approximate") && call->kwargs) {
        json_t *with = json_copy((json_t *)(uintptr_t)call->kwargs); /* TensorFlow's default is the exact one */
        json_object_set_new(with, "approximate", json_false());
        if (c->made) json_array_append_new(c->made, with);
        call->kwargs = with;
    }
    klayer as = *l;
    as.kind = kind;
    return kind->fn(c, &as, call);
}

/* tf.keras 2.1 to 2.3 wrapped raw graph nodes: constants and attributes are in a serialised NodeDef. */
hone_status hone__kop_tf_node(kctx *c, klayer *l, kcall *call)
{
    const char *node = hone__json_text(l->config, "node_def");
    (void)call;
    return hone__k_refuse(c, "a raw TensorFlow node (%.40s): load the model in tf.keras 2.4 or newer and save it again",
                          node ? node : "?");
}
