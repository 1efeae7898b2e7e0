"""Keras: predict(), model(x) and a traced tf.function, a row each."""
from common import *

args = arguments()
if is_keras(args.model):
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    start = clock_ms()
    model, version = load_keras(args.model)
    init = clock_ms() - start
    x = random_input(model.input_shape)
    t = tf.constant(x)
    traced = tf.function(lambda v: model(v, training=False))
    emit(args, "keras predict()", version, "fp32", init, lambda: model.predict(x, verbose=0))
    emit(args, "keras model(x)", version, "fp32", init, lambda: model(t, training=False).numpy())
    emit(args, "keras tf.function", version, "fp32", init, lambda: traced(t).numpy())
