"""Seeded random inputs of a Keras model's shape, for calibrating speed runs: python bench/samples.py MODEL.h5 FOLDER"""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import numpy as np
from common import load_keras

model, _ = load_keras(sys.argv[1])
os.makedirs(sys.argv[2], exist_ok=True)
rng = np.random.default_rng(0)
for i in range(16):
    np.save(os.path.join(sys.argv[2], f"{i}.npy"), rng.standard_normal((1,) + tuple(model.input_shape[1:])).astype(np.float32))
