"""Models of real size with random weights, for speed and memory: python bench/random_models.py OUT
audio.h5 and audio.keras: an audio classifier of 4.19 M parameters on [128, 130, 1] log-mel frames, with Adam's state."""
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
keras.utils.set_random_seed(7)
layers = keras.layers
blocks = [keras.Input((128, 130, 1), name="features")]
for filters, pool in ((32, 2), (64, 2), (128, 4)):
    blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D(pool)]
blocks += [layers.Flatten(), layers.Dense(500, activation="relu"), layers.Dense(10, activation="softmax")]
model = keras.Sequential(blocks)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(np.zeros((2, 128, 130, 1), np.float32), np.zeros(2), verbose=0)
for name in ("audio.h5", "audio.keras"):
    model.save(os.path.join(out, name))
    print(name, os.path.getsize(os.path.join(out, name)))
