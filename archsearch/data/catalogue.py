"""The public data sets: every fact about each of them. No torch.

Checksums are torchvision's MD5s, and SHA-256s that were computed from files which those identify. Means and standard
deviations of EMNIST, CIFAR and SVHN are those in common use; they normalise images, and no file is judged by them.
"""

from string import ascii_lowercase, ascii_uppercase, digits

from archsearch.data.info import DatasetFiles, DatasetInfo

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

OWN = ("image_folder", "arrays", "parquet")  # kinds of data sets of a person's own

_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_CIFAR_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()
)
_MERGED = "cijklmopsuvwxyz"  # lower-case letters that EMNIST's balanced set does not tell from upper-case ones
_GREY_28 = (1, 28, 28)
_COLOUR_32 = (3, 32, 32)


def _mnist_files(name: str, checksums: dict[str, str], *, named_alike: bool = True) -> DatasetFiles:
    return DatasetFiles("idx", f"{name}/raw", FILES[:2], FILES[2:], name, checksums, named_alike=named_alike)


def _emnist_files(split: str, first_label: int) -> DatasetFiles:
    train, test = (
        (f"emnist-{split}-{part}-images-idx3-ubyte", f"emnist-{split}-{part}-labels-idx1-ubyte")
        for part in ("train", "test")
    )
    downloads = ((("split", split),),)
    return DatasetFiles(
        "idx", "EMNIST/raw", train, test, "EMNIST", downloads=downloads, first_label=first_label, transposed=True
    )


DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(
            name="mnist",
            title="MNIST",
            classes=tuple(digits),
            shape=_GREY_28,
            train_images=60_000,
            test_images=10_000,
            mean=(0.1307,),
            std=(0.3081,),
            files=_mnist_files(
                "MNIST",
                {
                    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                },
            ),
        ),
        DatasetInfo(
            name="fashion_mnist",
            title="Fashion-MNIST",
            classes=_CLOTHES,
            shape=_GREY_28,
            train_images=60_000,
            test_images=10_000,
            mean=(0.2860,),
            std=(0.3530,),
            files=_mnist_files("FashionMNIST", {}),
        ),
        DatasetInfo(
            name="kmnist",
            title="Kuzushiji-MNIST",
            classes=_KANA,
            shape=_GREY_28,
            train_images=60_000,
            test_images=10_000,
            mean=(0.1918,),
            std=(0.3483,),
            files=_mnist_files("KMNIST", {}),
        ),
        DatasetInfo(
            name="emnist_balanced",
            title="EMNIST Balanced",
            classes=(*digits, *ascii_uppercase, *(letter for letter in ascii_lowercase if letter not in _MERGED)),
            shape=_GREY_28,
            train_images=112_800,
            test_images=18_800,
            mean=(0.1751,),
            std=(0.3332,),
            files=_emnist_files("balanced", first_label=0),
        ),
        DatasetInfo(
            name="emnist_letters",
            title="EMNIST Letters",
            classes=tuple(ascii_lowercase),
            shape=_GREY_28,
            train_images=124_800,
            test_images=20_800,
            mean=(0.1722,),
            std=(0.3309,),
            files=_emnist_files("letters", first_label=1),
        ),
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10",
            classes=_CIFAR_10,
            shape=_COLOUR_32,
            train_images=50_000,
            test_images=10_000,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            files=DatasetFiles(
                "cifar",
                "cifar-10-batches-py",
                tuple(f"data_batch_{number}" for number in range(1, 6)),
                ("test_batch",),
                "CIFAR10",
                {
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                },
            ),
        ),
        DatasetInfo(
            name="cifar100",
            title="CIFAR-100",
            classes=_CIFAR_100,
            shape=_COLOUR_32,
            train_images=50_000,
            test_images=10_000,
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            files=DatasetFiles(
                "cifar",
                "cifar-100-python",
                ("train",),
                ("test",),
                "CIFAR100",
                {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
            ),
        ),
        DatasetInfo(
            name="svhn",
            title="SVHN",
            classes=tuple(digits),
            shape=_COLOUR_32,
            train_images=73_257,
            test_images=26_032,
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            files=DatasetFiles(
                "svhn",
                ".",
                ("train_32x32.mat",),
                ("test_32x32.mat",),
                "SVHN",
                {
                    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
                    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
                },
                downloads=((("split", "train"),), (("split", "test"),)),
            ),
            class_sizes=(4_948, 13_861, 10_585, 8_497, 7_458, 6_882, 5_727, 5_595, 5_045, 4_659),
        ),
        DatasetInfo(
            name="digits",
            title="scikit-learn digits",
            classes=tuple(digits),
            shape=_GREY_28,
            train_images=1_500,
            test_images=297,
            mean=(0.3059,),
            std=(0.3251,),
        ),
    )
}


def dataset_info(name: str) -> DatasetInfo:
    """The public data set `name`; MNIST for `auto`."""
    return DATASETS["mnist" if name == "auto" else name]
