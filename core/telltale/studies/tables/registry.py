"""Every table that can be computed again, by name."""

from __future__ import annotations

from telltale.base.errors import InputError
from telltale.studies.tables import computing
from telltale.studies.tables.table import PaperTable

NNIF = "Cohen, Sapiro & Giryes (2020)"
NNIF_SETTING = (
    "Another network than ResNet-34; only attacks whose 8-bit image gets another label count as adversarial; influence "
    "through the softmax head over all reference images; detectors fitted per attack on validation images, reported on "
    "test images."
)
KNN = "Carrara et al. (2017)"
TRAJECTORY = "Carrara et al. (2018)"
TRAJECTORY_SETTING = (
    "CIFAR-10 instead of ImageNet and ResNet-50, whose images and weights are not here: 7 layers and 10 classes "
    "instead of 16 and 1,000. The authors' ε was applied to normalised images; divided by 255 as printed it is "
    "about 4.4 times as large as what their images underwent. Only attacks whose 8-bit image gets another label count; "
    "L-BFGS on 100 test images, the others on 200."
)
RESPONSE = "Amirian, Schwenker & Stadelmann (2018)"
RESPONSE_SETTING = (
    "CIFAR-10 instead of ImageNet and VGG19, whose images and weights are not here. Only attacks whose "
    "8-bit image gets another label count; ε 8/255, the paper gives none. Which end of the entropies is suspicious is "
    "fitted on validation images."
)
IDEFENDER = "Zheng & Hong (2018)"
BLACK_BOX_SETTING = (
    "FGSM made on model E, shown to model F; 8-bit images; an image counts as adversarial only if F gets its natural "
    "version right and the attacked one wrong (the paper does not say); the hidden state is F's last convolution, its "
    "form chosen on validation images; thresholds and quantiles from calibration images."
)
IMAGENET = "imagenet"
IMAGENET_SETTING = (
    "EfficientNet-lite0 at 224 × 224, and 475 photographs, one of a class, of which the bundle holds two thirds out; "
    "only attacks whose 8-bit image gets another label count."
)

_TABLES = (
    PaperTable(
        "knn-table2",
        "kNN scores by features and weights",
        f"{KNN}, Table 2",
        "accuracy at the equal error rate, %",
        "CIFAR-10 instead of ImageNet and OverFeat, whose images and weights are not here. The paper's "
        "pool5 is our last layer; two layers before it have no published figures. 1,000 neighbours, as many as "
        "reference images of a class. Both attacks aim at a random class; they count once the 8-bit image gets another "
        "label; ε of FGS 8/255, the paper gives none. L-BFGS on 100 images, Aggr. on those that both attacks reached.",
        computing.knn_table_2,
        "cifar10",
    ),
    PaperTable(
        "knn-table2-imagenet",
        "kNN scores by features and weights, ImageNet",
        f"{KNN}, Table 2",
        "accuracy at the equal error rate, %",
        IMAGENET_SETTING,
        computing.knn_table_2_imagenet,
        IMAGENET,
    ),
    PaperTable(
        "trajectory-table1",
        "Success of the attacks",
        f"{TRAJECTORY}, Table 1",
        "success rate, %",
        TRAJECTORY_SETTING,
        computing.trajectory_table_1,
        "cifar10",
    ),
    PaperTable(
        "trajectory-table2",
        "Networks, pivots and distances",
        f"{TRAJECTORY}, Table 2",
        "AUC, %",
        f"{TRAJECTORY_SETTING} Sequences are standardised; ε as applied; one detector per row for all attacks.",
        computing.trajectory_table_2,
        "cifar10",
    ),
    PaperTable(
        "trajectory-table1-imagenet",
        "Success of the attacks, ImageNet",
        f"{TRAJECTORY}, Table 1",
        "success rate, %",
        f"{IMAGENET_SETTING} Instead of ResNet-50; ε as applied to normalised images, whose channels were divided by "
        "about 0.225. The first 80 test images that are read correctly, 20 for L-BFGS.",
        computing.trajectory_table_1_imagenet,
        IMAGENET,
    ),
    PaperTable(
        "trajectory-table2-imagenet",
        "Networks, pivots and distances, ImageNet",
        f"{TRAJECTORY}, Table 2",
        "AUC, %",
        IMAGENET_SETTING,
        computing.trajectory_table_2_imagenet,
        IMAGENET,
    ),
    PaperTable(
        "response-table1",
        "Attacks, confidences and detection",
        f"{RESPONSE}, Table 1",
        "%",
        RESPONSE_SETTING,
        computing.response_table_1,
        "cifar10",
    ),
    PaperTable(
        "response-table1-imagenet",
        "Attacks, confidences and detection at 224 × 224",
        f"{RESPONSE}, Table 1",
        "%",
        f"{IMAGENET_SETTING} Instead of VGG19; its rectifiers are ReLU6. ε 8/255, the paper gives none. Natural images "
        "and attacks are all that the bundle holds out and the network reads correctly.",
        computing.response_table_1_imagenet,
        IMAGENET,
    ),
    PaperTable(
        "response-table2",
        "Feature response beside other methods",
        f"{RESPONSE}, Table 2",
        "%",
        f"{RESPONSE_SETTING} Other methods' figures are their authors', on their data.",
        computing.response_table_2,
        "cifar10",
    ),
    PaperTable(
        "nnif-table1",
        "Four detectors against six attacks",
        f"{NNIF}, Table 1",
        "AUC, %",
        NNIF_SETTING,
        computing.nnif_table_1,
        "cifar10",
    ),
    PaperTable(
        "nnif-explained",
        "What rounding and failed attacks do to NNIF's figures",
        f"No table of {NNIF}",
        "AUC, %",
        f"{NNIF_SETTING} Published sets kept float images and counted failed attacks as adversarial; each is "
        "switched on and off here.",
        computing.nnif_explained,
        "cifar10",
    ),
    PaperTable(
        "nnif-classifier",
        "What the classifier's accuracy does to NNIF's figures",
        f"{NNIF}, a part of Table 1",
        "AUC, %",
        f"{NNIF_SETTING} The same network on the same images, trained for fewer epochs; reference set, attacks and "
        "detectors are its own.",
        computing.nnif_by_classifier,
        "cifar10",
    ),
    PaperTable(
        "nnif-ablation",
        "Which features of NNIF count",
        f"{NNIF}, Table 2",
        "%",
        f"{NNIF_SETTING} DeepFool, penultimate layer only.",
        computing.nnif_ablation,
        "cifar10",
    ),
    PaperTable(
        "nnif-transfer",
        "Fitted on FGSM, judged on other attacks",
        f"{NNIF}, Table 3",
        "AUC, %",
        f"{NNIF_SETTING} Penultimate layer only.",
        computing.nnif_transfer,
        "cifar10",
    ),
    PaperTable(
        "nnif-whitebox",
        "C&W and an attack that knows NNIF",
        f"{NNIF}, Table 4",
        "accuracy, %",
        f"{NNIF_SETTING} Penultimate layer only; as many natural as adversarial images; the published code of the "
        "attack does not implement its Eq. 3, ours does.",
        computing.nnif_whitebox,
        "cifar10",
    ),
    PaperTable(
        "idefender-table2",
        "I-defender beside Defense-GAN's settings, MNIST",
        f"{IDEFENDER}, Table 2",
        "AUC, %",
        f"{BLACK_BOX_SETTING} ε = 0.3.",
        computing.idefender_table_2,
        "mnist",
        own_networks=True,
    ),
    PaperTable(
        "idefender-table3",
        "I-defender by strength of the attack, MNIST",
        f"{IDEFENDER}, Table 3",
        "AUC, %",
        BLACK_BOX_SETTING,
        computing.idefender_table_3,
        "mnist",
        own_networks=True,
    ),
    PaperTable(
        "idefender-table4",
        "I-defender beside Defense-GAN's settings, Fashion-MNIST",
        f"{IDEFENDER}, Table 4",
        "AUC, %",
        f"{BLACK_BOX_SETTING} ε = 0.3.",
        computing.idefender_table_4,
        "fashion_mnist",
        own_networks=True,
    ),
    PaperTable(
        "idefender-table5",
        "I-defender by strength of the attack, Fashion-MNIST",
        f"{IDEFENDER}, Table 5",
        "AUC, %",
        BLACK_BOX_SETTING,
        computing.idefender_table_5,
        "fashion_mnist",
        own_networks=True,
    ),
    PaperTable(
        "idefender-table6",
        "I-defender when the classifier is known and the detector is not, CIFAR-10",
        f"{IDEFENDER}, Table 6",
        "%",
        "Another network than WRN-34-8; strengths chosen on fit images so that about the published accuracy is left, "
        "in whole grey levels for L∞; only 8-bit images that change a right label count; test images.",
        computing.semi_white_box_table_6,
        "cifar10",
    ),
    PaperTable(
        "idefender-graybox",
        "Attackers with a network and an I-defender of their own, CIFAR-10",
        f"{IDEFENDER}, Tables 7 and 8",
        "AUC of −log p, %",
        "Source is the network of the bundle, Target another one of its kind with another seed and 4 epochs, the one "
        "of another size has width 16 and depth 3, 4 epochs; the paper: WRN-34-8 and WRN-46-8. 200 test images that "
        "Source gets right; only 8-bit images that change a network's right label count for it. The copy that was "
        "read has four rows of figures beside three values of α; 1 is taken as the fourth.",
        computing.graybox_tables_7_and_8,
        "cifar10",
    ),
    PaperTable(
        "idefender-table9",
        "Attackers with a network of their own, ImageNet",
        f"{IDEFENDER}, Table 9",
        "%",
        f"{IMAGENET_SETTING} Instead of two VGG19.",
        computing.idefender_table_9,
        IMAGENET,
    ),
)

TABLES: dict[str, PaperTable] = {table.name: table for table in _TABLES}


def get_table(name: str) -> PaperTable:
    """Return a table by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in TABLES:
        raise InputError(f"There is no table '{name}'; there are {', '.join(TABLES)}.")
    return TABLES[name]
