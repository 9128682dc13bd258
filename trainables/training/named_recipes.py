"""Recipes by name: published ways to train a network from scratch.

Learning rates are for the batch that the source names, which is also the ``batch_size`` of a recipe; with another one
they change as ``Recipe.learning_rate_batch`` says. Accuracies are top-1, as their sources state them; nothing here was
trained to the end. Where a source does something that this package does not, the docstring says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taurank.trainables.data import Augmentation
from taurank.trainables.training.recipe import Recipe


def cifar_200() -> Recipe:
    """CIFAR at 32 pixels, 200 epochs: SGD with Nesterov momentum, cosine, crop and flip.

    NAS-Bench-201 (Dong & Yang 2020, arXiv 2001.00326, section 2.2). Published: 94.37 % on CIFAR-10 (test) by the best
    of its 15,625 cells, 93.97 % by its ResNet.
    """
    return Recipe(
        epochs=200,
        batch_size=256,
        learning_rate=0.1,
        learning_rate_batch=256,
        weight_decay=5e-4,
        augmentation=Augmentation(crop=4, flip=True),
    )


def imagenet_90() -> Recipe:
    """ImageNet at 224 pixels, 90 epochs, for convolutional networks with batch normalisation: SGD and crops.

    Goyal et al. 2017 (arXiv 1706.02677, section 5.1): rate 0.1 for 256 images, warm-up of 5 epochs, decay 1e-4,
    branches that begin at zero. Published: ResNet-50 76.3 %, with the rate divided by 10 after 30, 60 and 80 epochs, as
    here by ``{schedule: steps, step_epochs: [30, 60, 80]}``. The cosine, no decay of norms and biases, and label
    smoothing are from He et al. 2019 (arXiv 1812.01187, sections 3.1 and 5), with 120 epochs: this very recipe has
    no published number. torchvision's reference, 90 epochs in three steps without smoothing, states 76.13 %.
    """
    return Recipe(
        epochs=90,
        batch_size=256,
        learning_rate=0.1,
        learning_rate_batch=256,
        nesterov=False,
        weight_decay=1e-4,
        decay_norms_and_biases=False,
        warmup_epochs=5.0,
        label_smoothing=0.1,
        augmentation=Augmentation(flip=True, resized_crop=0.08),
        zero_init_last=True,
        evaluated_centre=0.875,
    )


def imagenet_a2() -> Recipe:
    """ImageNet at 224 pixels, 300 epochs: LAMB, binary cross-entropy, RandAugment, mixup and CutMix.

    Procedure A2 of Wightman et al. 2021 (arXiv 2110.00476, table 2); published: ResNet-50 79.8 %. LAMB needs timm.
    RandAugment is torchvision's, with the strength 7 of timm's 10 as 21 of 30 and each operation on every second image,
    as in timm, but without noise of the strength and without the operations Invert and SolarizeAdd.
    """
    return Recipe(
        epochs=300,
        batch_size=2048,
        optimizer="lamb",
        learning_rate=5e-3,
        learning_rate_batch=2048,
        weight_decay=0.02,
        decay_norms_and_biases=False,
        warmup_epochs=5.0,
        loss="bce",
        mixup=0.1,
        cutmix=1.0,
        drop_path=0.05,
        augmentation=Augmentation(
            flip=True,
            resized_crop=0.08,
            interpolation="bicubic",
            policy="randaugment",
            policy_share=0.5,
            magnitude=21,
            repeats=3,
        ),
        zero_init_last=True,
        evaluated_centre=0.95,
    )


def imagenet_a3() -> Recipe:
    """ImageNet, 100 epochs of crops of 160 pixels, evaluated at 224: the cheapest of the procedures of Wightman et al.

    Procedure A3 of Wightman et al. 2021 (arXiv 2110.00476, table 2); published: ResNet-50 78.1 %. See ``imagenet_a2``.
    Networks that are made for one size of images cannot be trained at another; give them ``resolution: 1``.
    """
    a2 = imagenet_a2()
    augmentation = replace(a2.augmentation, resolution=160 / 224, magnitude=18, repeats=1)
    return replace(a2, epochs=100, learning_rate=8e-3, drop_path=None, augmentation=augmentation)


def imagenet_vit() -> Recipe:
    """ImageNet at 224 pixels, 300 epochs, for transformers and ConvNeXt: AdamW with much of every augmentation.

    DeiT (Touvron et al. 2021, arXiv 2012.12877, table 9); published: DeiT-S 79.8 %, DeiT-B 81.8 %. ConvNeXt-T reaches
    82.1 % by nearly the same (Liu et al. 2022, arXiv 2201.03545, appendix A.1). RandAugment as in ``imagenet_a2``, with
    9 of 10 as 27 of 30; erased boxes have the mean colour instead of noise.
    """
    return Recipe(
        epochs=300,
        batch_size=1024,
        optimizer="adamw",
        learning_rate=1e-3,
        learning_rate_batch=1024,
        weight_decay=0.05,
        decay_norms_and_biases=False,
        warmup_epochs=5.0,
        label_smoothing=0.1,
        mixup=0.8,
        cutmix=1.0,
        drop_path=0.1,
        augmentation=Augmentation(
            flip=True,
            resized_crop=0.08,
            interpolation="bicubic",
            policy="randaugment",
            policy_share=0.5,
            magnitude=27,
            erasing=0.25,
            repeats=3,
        ),
        evaluated_centre=0.875,
    )


def imagenet_mobile() -> Recipe:
    """ImageNet at 224 pixels, 350 epochs, for small networks: RMSprop, a rate that falls by 3 % every 2.4 epochs, EMA.

    MnasNet (Tan et al. 2019, arXiv 1807.11626, section 5) and EfficientNet (Tan & Le 2019, arXiv 1905.11946, section
    5). Published: MnasNet-A1 75.2 %, EfficientNet-B0 77.1 % (with AutoAugment, which this is without). Their mean of
    weights by 0.9999 a step at a batch of 4096 is one over 32 epochs. Their batch normalisation has a momentum of 0.99,
    ours that of the network. torchvision's reference for MobileNetV3-Large has the same rate for 256 images, times
    0.973 every 2 of 600 epochs, and states 74.04 %; it has no mean of weights.
    """
    return Recipe(
        epochs=350,
        batch_size=4096,
        optimizer="rmsprop",
        learning_rate=0.256,
        learning_rate_batch=4096,
        weight_decay=1e-5,
        decay_norms_and_biases=False,
        schedule="steps",
        step_epochs=2.4,
        step_factor=0.97,
        warmup_epochs=5.0,
        label_smoothing=0.1,
        dropout=0.2,
        drop_path=0.2,
        ema_epochs=32.0,
        augmentation=Augmentation(flip=True, resized_crop=0.08, interpolation="bicubic"),
        evaluated_centre=0.875,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "cifar-200": cifar_200,
    "imagenet-90": imagenet_90,
    "imagenet-a2": imagenet_a2,
    "imagenet-a3": imagenet_a3,
    "imagenet-vit": imagenet_vit,
    "imagenet-mobile": imagenet_mobile,
}
