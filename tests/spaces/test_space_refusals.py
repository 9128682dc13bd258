"""Codes and options that spaces reject, with a message that names the place and the allowed values."""

from __future__ import annotations

from typing import Any

import pytest

from taurank.spaces import SpaceError, get_space

MNASNET_CODE = "sep-k3-se0-none-f1-n1_mb6-k5-se0.25-id-f1-n2"
ONCE_FOR_ALL_RESNET50_CODE = "r28_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.5"

OPTIONS: dict[str, dict[str, Any]] = {
    "mnasnet": {"variant": "mini"},
    "once_for_all": {"variant": "mini"},
    "once_for_all_resnet50": {"variant": "mini"},
    "proxyless": {"variant": "mini"},
}

WRONG_CODES = {
    "mnasnet": [
        ("sep-k3-se0-none-f1-n1", r"^code: .* has 1 blocks, not 2; the form is 'conv-k3-se0-none-f1-n1_conv-"),
        ("sep-k3-se0-none-f1-n1_sep-k3", r"^code: block 2 of .* has 2 entries, not 6; the form is "),
        (MNASNET_CODE.replace("k5", "k7"), r"^code: the kernel of block 2 of .* is 'k7'; allowed are k3, k5$"),
        (MNASNET_CODE.replace("n2", "n9"), r"^code: the layers of block 2 of .* is 'n9'; allowed are n1, n2$"),
    ],
    "once_for_all": [
        ("k3e2_k3e2", r"^code: .* begins with 'k3e2', not with a resolution; the form is 'r28_k5e3_k5e3'$"),
        ("r28_k3e2", r"^code: 'r28_k3e2' has 1 stages, not 2; the form is "),
        ("r24_k3e2_k3e2", r"^code: resolution of .* is 24; allowed are 20, 28$"),
        ("r28_k3e2_k3e2-k3e2-k3e2", r"^code: the depth of stage 2 of .* is 3; allowed are 1, 2$"),
        ("r28_k7e2_k3e2", r"^code: the kernel of block 1 of stage 1 of .* is 7; allowed are 3, 5$"),
        ("r28_k3e2_k3e2-k3e6", r"^code: the expansion of block 2 of stage 2 of .* is 6; allowed are 2, 3$"),
        ("r28_k3e2_3x2", r"^code: block 1 of stage 2 of .* is '3x2'; the form is "),
    ],
    "once_for_all_resnet50": [
        (
            "r28_w1-conv-w1_w1-e0.5",
            r"^code: .* is not a resolution, a stem of three and 2 stages; the form is 'r28_w1-",
        ),
        (ONCE_FOR_ALL_RESNET50_CODE.replace("r28", "r24"), r"^code: resolution of .* is 'r24'; allowed are r20, r28$"),
        (
            ONCE_FOR_ALL_RESNET50_CODE.replace("skip", "none"),
            r"^code: the middle of the stem of .* is 'none'; allowed are skip, conv$",
        ),
        (
            ONCE_FOR_ALL_RESNET50_CODE.replace("w0.5-skip", "w2-skip"),
            r"^code: the first width of the stem of .* is 'w2'; allowed are w0.5, w1",
        ),
        (f"{ONCE_FOR_ALL_RESNET50_CODE}-e0.5-e0.5", r"^code: the depth of stage 2 of .* is 3; allowed are 1, 2$"),
        (f"{ONCE_FOR_ALL_RESNET50_CODE}-k3", r"^code: block 2 of stage 2 of .* is 'k3'; allowed are e0.25, e0.5$"),
    ],
    "proxyless": [
        ("k3e3-id", r"^code: 'k3e3-id' has 1 stages, not 2; the form is 'k3e3-k3e3_k3e3-k3e3-k3e3'$"),
        ("k3e3_k3e3-id-id", r"^code: stage 1 of .* has 1 layers, not 2; the form is "),
        ("k3e4-id_k3e3-id-id", r"^code: layer 1 of .* is 'k3e4'; allowed are k3e3, "),
        ("0123", r"^code: '0123' has 4 digits, not 5, one a layer$"),
        ("09123", r"^code: layer 2 of '09123' is '9'; allowed are k3e3, "),
    ],
    "nasbench_macro": [
        ("0121221", r"^code: '0121221' has 7 characters, not 8; the form is '01212210'$"),
        ("01213210", r"^code: layer 5 of '01213210' is '3'; allowed are 0 \(identity\), 1 \(mb3_k3\), 2 \(mb6_k5\)$"),
    ],
    "mnist_blocks": [
        ("2", "1 numbers, not 2"),
        ("2,3,1", "3 numbers, not 2"),
        ("0,3", "a1 of '0,3' is '0'; allowed are 1, 2, 3"),
        ("2,4", "a2 of '2,4' is '4'"),
        ("2,03", "a2 .* is '03'"),
        ("(2,3", "a1 .* is '\\(2'"),
        ("2,-1", "a2 .* is '-1'"),
    ],
}

WRONG_OPTIONS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "mnasnet": [
        ({"variant": "a1"}, r"^variant: 'a1' is unknown; there are imagenet, mini$"),
        ({"filters": 1}, r"^filters: 1 is not a list of at least one entry$"),
        ({"filters": [0]}, r"^filters: 0 is not a positive number$"),
        ({"filters": [1, 0.5]}, r"^filters: \[1, 0.5\] is not in ascending order without repeats$"),
    ],
    "once_for_all": [
        ({"variant": "mobilnetv3"}, r"^variant: 'mobilnetv3' is unknown \(did you mean 'mobilenetv3'\?\); there are"),
        ({"variant": "resnet50"}, r"; residual networks are the space once_for_all_resnet50$"),
        ({"width": 0}, r"^width: 0 is not a positive number$"),
        ({"kernels": 3}, r"^kernels: 3 is not a list of at least one entry$"),
        ({"kernels": []}, r"^kernels: \[\] is not a list"),
        ({"kernels": [3, 4]}, r"^kernels: 4 is even; a kernel needs a centre$"),
        ({"depths": [2, 1]}, r"^depths: \[2, 1\] is not in ascending order without repeats$"),
        ({"expansions": [0, 2]}, r"^expansions: 0 is not a whole number of at least 1$"),
        ({"resolutions": [20.5]}, r"^resolutions: 20.5 is not a whole number"),
        ({"widths": [16, 20]}, r"^widths: 20 is not a multiple of 8$"),
        ({"strides": [2]}, r"^strides: 1 entries, but widths has 2; give one a stage$"),
        ({"strides": [2, 3]}, r"^strides: 3 is not among 1, 2$"),
        ({"activations": ["relu", "tanh"]}, r"^activations: 'tanh' is not among relu, relu6, h_swish$"),
        ({"squeeze": [1, 0]}, r"^squeeze: 1 is not among False, True$"),
    ],
    "once_for_all_resnet50": [
        ({"variant": "minni"}, r"^variant: 'minni' is unknown \(did you mean 'mini'\?\); there are imagenet, mini$"),
        ({"resolutions": 28}, r"^resolutions: 28 is not a list of at least one entry$"),
        ({"resolutions": [28, 20]}, r"^resolutions: \[28, 20\] is not in ascending order without repeats$"),
        ({"resolutions": [0]}, r"^resolutions: 0 is not a whole number of at least 1$"),
    ],
    "proxyless": [
        ({"variant": "mobil"}, r"^variant: 'mobil' is unknown \(did you mean 'mobile'\?\); there are imagenet, mobile"),
        ({"width": 0}, r"^width: 0 is not a positive number$"),
        ({"widths": 16}, r"^widths: 16 is not a list of at least one entry$"),
        ({"widths": [16, 15]}, r"^widths: 15 is odd; numbers of channels have to be even$"),
        ({"depths": [2]}, r"^depths: 1 entries, but widths has 2; give one a stage$"),
        ({"depths": [2, 0]}, r"^depths: 0 is not a whole number of at least 1$"),
        ({"strides": [2, 3]}, r"^strides: 3 is not 1 or 2$"),
        ({"stem_stride": True}, r"^stem_stride: True is not 1 or 2$"),
        ({"dropout": 1}, r"^dropout: 1 is not a number of at least 0 and below 1$"),
    ],
    "darts": [
        ({"stem": "mnist"}, r"^stem: 'mnist' is unknown; there are cifar, imagenet$"),
        ({"width": 1}, r"^width: 1 cannot be halved"),
        ({"layers": 0}, r"^layers: 0 is not a whole number"),
    ],
    "pnas": [
        ({"blocks": 6}, r"^blocks: 6 is more than 5$"),
        ({"stem": "large"}, r"^stem: 'large' is unknown; there are cifar, imagenet$"),
        ({"stem": "imagenet", "width": 3}, r"^width: 3 is too small for the stem 'imagenet'; give 4 or more$"),
        ({"width": 1}, r"^width: 1 is too small"),
    ],
}


@pytest.mark.parametrize(
    ("space", "text", "message"), [(space, *case) for space in WRONG_CODES for case in WRONG_CODES[space]]
)
def test_wrong_codes(space: str, text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(space, **OPTIONS.get(space, {})).parse(text)


@pytest.mark.parametrize(
    ("space", "options", "message"), [(space, *case) for space in WRONG_OPTIONS for case in WRONG_OPTIONS[space]]
)
def test_wrong_options(space: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(space, **(OPTIONS.get(space, {}) | options))
