"""TensorFlow Datasets builders of the paper's data sets, ModCloth and Kuaishou's two.

Importing this package registers all of them. It imports TensorFlow Datasets, so nothing that trains without it may import
it.
"""

from tfadt.datasets.adressa.adressa_dataset_builder import Builder as Adressa
from tfadt.datasets.amazon_book.amazon_book_dataset_builder import Builder as AmazonBook
from tfadt.datasets.kuairand_pure.kuairand_pure_dataset_builder import Builder as KuaiRandPure
from tfadt.datasets.kuairec.kuairec_dataset_builder import Builder as KuaiRec
from tfadt.datasets.modcloth.modcloth_dataset_builder import Builder as ModCloth
from tfadt.datasets.yelp.yelp_dataset_builder import Builder as Yelp

__all__ = ["Adressa", "AmazonBook", "KuaiRandPure", "KuaiRec", "ModCloth", "Yelp"]
