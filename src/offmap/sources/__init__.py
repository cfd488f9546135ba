"""Reading data as people have it: files of arrays, tables, images, text, and other data sets."""

from offmap.sources.dataset import from_dataset, from_hugging_face
from offmap.sources.images import PixelTable
from offmap.sources.load import load_split
from offmap.sources.text import from_text

__all__ = ["PixelTable", "from_dataset", "from_hugging_face", "from_text", "load_split"]
