"""Five ways to search for the hyperparameters of a Keras model, compared at equal budget."""

import keras
from keras import layers, regularizers
from sklearn.datasets import load_digits

import nmt_pbt


def build_model(hp):
    """Build a network with one hidden layer, whose dropout, L2 penalty and learning rate are searched."""
    penalty = regularizers.L2(hp.Float("l2", 1e-6, 1e-2, sampling="log"))
    hidden = layers.Dense(64, "relu", kernel_regularizer=penalty)
    dropout = layers.Dropout(hp.Float("dropout", 0.0, 0.8))
    model = keras.Sequential([keras.Input((64,)), hidden, dropout, layers.Dense(10, "softmax")])
    optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log"))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


x, y = load_digits(return_X_y=True)
x = x.astype("float32") / 16
train, dev, test = ((x[part], y[part]) for part in (slice(0, 400), slice(400, 900), slice(900, None)))
found = nmt_pbt.compare(build_model, *train, validation_data=dev, test_data=test, seeds=5, directory="digits")
print(found.schedule)
