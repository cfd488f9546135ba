"""Small reference networks, and the safe loading of the user's own."""

from offmap.models.autoencoder import Autoencoder
from offmap.models.cnn import CNN
from offmap.models.exported import ExportedModel, load_exported
from offmap.models.loading import load_model
from offmap.models.mlp import MLP
from offmap.models.resnet import ResNet
from offmap.models.transformer import Transformer
from offmap.models.weights import load_weights

__all__ = [
    "CNN",
    "MLP",
    "Autoencoder",
    "ExportedModel",
    "ResNet",
    "Transformer",
    "load_exported",
    "load_model",
    "load_weights",
]
