import re
import subprocess
import sys

import pytest

from snapshot_cli.networks.names import FAMILIES, IN_TORCHVISION, Architecture, forms, parse

FORMS = (
    "the forms are resnet-D, wide-resnet-D-K, densenet-L-K, imagenet-resnet-50, torchvision:NAME, timm:NAME, "
    "plugin:NAME"
)


@pytest.mark.parametrize(
    ("name", "family", "sizes"),
    [
        ("resnet-8", "resnet", (8,)),
        ("resnet-110", "resnet", (110,)),
        ("resnet-50", "resnet", (50,)),
        ("wide-resnet-32-4", "wide-resnet", (32, 4)),
        ("wide-resnet-8-1", "wide-resnet", (8, 1)),
        ("densenet-7-1", "densenet", (7, 1)),
        ("densenet-40-12", "densenet", (40, 12)),
        ("densenet-100-24", "densenet", (100, 24)),
        ("imagenet-resnet-50", "imagenet-resnet", (50,)),
        ("torchvision:resnet18", "torchvision", ()),
        ("timm:mixer_b16_224", "timm", ()),
        ("plugin:my-mlp", "plugin", ()),
    ],
)
def test_names_that_exist(name, family, sizes):
    assert parse(name) == Architecture(family, sizes)


def test_every_example_exists():
    assert [parse(example).family for _, example in FAMILIES.values()] == list(FAMILIES)
    assert forms() == ["resnet-D", "wide-resnet-D-K", "densenet-L-K", "imagenet-resnet-50"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rednet-110", "unknown network 'rednet-110'; did you mean 'resnet-110'?"),
        ("ResNet110", "unknown network 'ResNet110'; did you mean 'resnet-110'?"),
        ("RESNET-110", "unknown network 'RESNET-110'; did you mean 'resnet-110'?"),
        ("resnet-x", "unknown network 'resnet-x'; did you mean 'resnet-110'?"),
        ("resnet--20", "unknown network 'resnet--20'; did you mean 'resnet-20'?"),
        ("resnet-20\n", "unknown network 'resnet-20\\n'; did you mean 'resnet-20'?"),
        ("resnet-²0", "unknown network 'resnet-²0'; did you mean 'resnet-110'?"),
        ("wide_resnet_32_4", "unknown network 'wide_resnet_32_4'; did you mean 'wide-resnet-32-4'?"),
        ("densnet-41-12", "unknown network 'densnet-41-12'; did you mean 'densenet-40-12'?"),
        ("densenet-bc-100-12", "unknown network 'densenet-bc-100-12'; did you mean 'densenet-100-12'?"),
        ("image-net-resnet-50", "unknown network 'image-net-resnet-50'; did you mean 'imagenet-resnet-50'?"),
        ("resnet18", "unknown network 'resnet18'; did you mean 'resnet-110' or 'torchvision:resnet18'?"),
        ("ResNet50", "unknown network 'ResNet50'; did you mean 'resnet-50' or 'torchvision:resnet50'?"),
        (
            "wide_resnet50_2",
            "unknown network 'wide_resnet50_2'; did you mean 'wide-resnet-50-2' or 'torchvision:wide_resnet50_2'?",
        ),
        ("vgg-16", f"unknown network 'vgg-16'; {FORMS}"),
        ("../resnet", "unknown network '../resnet'; did you mean 'resnet-110'?"),
        ("110", f"unknown network '110'; {FORMS}"),
        ("", f"unknown network ''; {FORMS}"),
        ("resnet", "'resnet' needs one size: resnet-D, such as resnet-110"),
        ("resnet-32-4", "'resnet-32-4' needs one size: resnet-D, such as resnet-110"),
        ("wide-resnet-32", "'wide-resnet-32' needs two sizes: wide-resnet-D-K, such as wide-resnet-32-4"),
        ("densenet-40", "'densenet-40' needs two sizes: densenet-L-K, such as densenet-40-12"),
        ("densenet-40-12-6", "'densenet-40-12-6' needs two sizes: densenet-L-K, such as densenet-40-12"),
        ("imagenet-resnet", "'imagenet-resnet' needs one size: imagenet-resnet-50"),
        ("imagenet-resnet-101", "depth 101 is not available; imagenet-resnet comes with 50 layers only"),
        ("resnet-111", "depth 111 is not 6n+2; the nearest are 110 and 116"),
        ("resnet-109", "depth 109 is not 6n+2; the nearest are 104 and 110"),
        ("wide-resnet-28-10", "depth 28 is not 6n+2; the nearest are 26 and 32"),
        ("densenet-41-12", "depth 41 is not 3N+4; the nearest are 40 and 43"),
        ("densenet-42-12", "depth 42 is not 3N+4; the nearest are 40 and 43"),
        ("resnet-2", "depth 2 is too small; the smallest 6n+2 is 8"),
        ("densenet-4-12", "depth 4 is too small; the smallest 3N+4 is 7"),
        ("resnet-0", "size 0 of 'resnet-0' must be between 1 and 2000"),
        ("wide-resnet-32-0", "size 0 of 'wide-resnet-32-0' must be between 1 and 2000"),
        ("densenet-40-2001", "size 2001 of 'densenet-40-2001' must be between 1 and 2000"),
        ("tochvision:resnet18", "unknown network 'tochvision:resnet18'; did you mean 'torchvision:resnet18'?"),
        (
            "https://x.org/resnet",
            "unknown network 'https://x.org/resnet'; a name with a colon begins with torchvision:, timm: or plugin:",
        ),
        ("timm:", "'timm:': expected letters, digits, '_' and '-' after timm:, given ''"),
        ("timm:hf-hub:a/b", "'timm:hf-hub:a/b': expected letters, digits, '_' and '-' after timm:, given 'hf-hub:a/b'"),
        ("plugin:../x", "'plugin:../x': expected letters, digits, '_' and '-' after plugin:, given '../x'"),
        ("resnet-008", "size 008 of 'resnet-008' must not begin with a zero"),
    ],
)
def test_names_that_do_not_exist(name, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(name)


def test_reading_a_name_imports_the_standard_library_only():
    code = (
        "import sys; from snapshot_cli.networks import build; from snapshot_cli.networks.names import parse;"
        "parse('densenet-40-12');"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'torchvision', 'numpy', 'yaml', 'pydantic'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_networks_of_torchvision_that_are_suggested_exist():
    models = pytest.importorskip("torchvision.models")
    suggested = [name for name in models.list_models() if re.fullmatch(IN_TORCHVISION, name)]
    assert len(suggested) == 11
