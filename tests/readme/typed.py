"""What a user types for each command that README and docs show, with inputs small enough for a test.

``RUN`` stands for the folder that the last command of a session wrote its run to, and ``FIRST`` for the first one's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Typed:
    """One command of the session.

    Attributes:
        typed: the words after which it is run, in the shell's spelling.
        shows: regular expression that the last line printed has to match.
        stands_for: the documented commands that it is the small form of; those it is equal to need not be named.
        code: exit status.
        prints: regular expressions that have to occur somewhere in the output.
        small: part of the short session of `make test`; the long one repeats only what its later commands build on.
    """

    typed: str
    shows: str
    stands_for: tuple[str, ...] = ()
    code: int = 0
    prints: tuple[str, ...] = ()
    small: bool = False


CONCLUDED = r"Trained .*; .*\. Take .*\."
WRITTEN = r"written: ranking\.csv, .* in .*"
MODELS = "timm:test_resnet,timm:test_vit,torchvision:squeezenet1_1,my_nets:make"
BUDGETS = r"(\d+x .*|note: .*)"
SMALL = "--size 32 --epochs 2 --budget 2x"

SESSION = (
    Typed("taurank --version", r"taurank \S+ \(Python .*, torch .*, torchvision .*, ray .*\)", small=True),
    Typed("taurank experiments", r".*against it\.", prints=("quickstart",)),
    Typed("taurank spaces", r"options of zoo: models=.*", prints=("nasbench201", "zoo")),
    Typed("taurank proxies", r"set vkdnw: vkdnw, .*", prints=("jacob_cov",)),
    Typed(
        "taurank models 'timm:test_res*' torchvision:squeezenet1_1",
        r"torchvision:squeezenet1_1 .*",
        ("taurank models 'timm:convnext*'", "taurank models 'timm:convnext*' torchvision:resnet18"),
        prints=("timm:test_resnet", "torchvision:squeezenet1_1"),
    ),
    Typed(
        f"taurank run --models '{MODELS}' --data folder:photos {SMALL} --baseline",
        CONCLUDED,
        ("taurank run --models 'timm:*_tiny*' --data folder:photos",),
        prints=("ranking, best first", "against full training", "ceiling|order by"),
        small=True,
    ),
    Typed("taurank status RUN", r"last line of run\.log: .*", ("taurank status runs/...",), small=True),
    Typed(
        "taurank status RUN --watch",
        r".*\bdone +\d+ of \d+ .*|\.\.\. and \d+ more",
        ("taurank status runs/... --watch",),
        prints=("trial +state +epoch",),
    ),
    Typed("taurank why timm:test_vit --run RUN", r"cost of all its evidence: .*", ("taurank why NAME --run runs/...",)),
    Typed(
        "taurank why test_vit --run RUN",
        r"cost of all its evidence: .*",
        ("taurank why s-n3-spp --run runs/cells-20260101-120000",),
        small=True,
    ),
    Typed(
        "taurank front RUN", r"written: front\.csv in .*", ("taurank front runs/...", "taurank front runs/cells-...")
    ),
    Typed(
        "taurank front RUN --against parameters",
        r"written: front\.csv in .*",
        ("taurank front runs/cells-... --against parameters",),
    ),
    Typed("taurank rank RUN", CONCLUDED, ("taurank rank runs/...",), small=True),
    Typed(
        "taurank rank results.csv --full-epochs 20 --metric val_loss --features sizes.csv",
        r"tau that the ranking expects of itself: .*",
        (
            "taurank rank results.csv --full-epochs 200 --metric val_acc",
            "taurank rank ray_results/my-experiment --full-epochs 200 --metric eval/iou --mode max",
        ),
        prints=(r"12 candidates by val_loss \(lower is better\)", "predicted final val_loss"),
        small=True,
    ),
    Typed(
        "taurank rank results.csv --full-epochs 20 --metric val_loss --report report.html",
        r"written: report\.html",
        ("taurank rank results.csv --full-epochs 200 --metric val_acc --report report.html",),
    ),
    Typed(
        "taurank next results.csv --full-epochs 20 --metric val_loss --features sizes.csv --budget 2x",
        r"expected tau: .* after them; .*",
        ("taurank next results.csv --full-epochs 200 --metric val_acc --budget 5x",),
        prints=("from epoch",),
        small=True,
    ),
    Typed("taurank score RUN", CONCLUDED, ("taurank score runs/cells-...",)),
    Typed(
        "taurank score RUN --baseline truth.csv",
        CONCLUDED,
        ("taurank score runs/... --baseline truth.csv",),
    ),
    Typed("taurank plan RUN", BUDGETS, ("taurank plan runs/cells-20260101-120000",)),
    Typed("taurank resume RUN", CONCLUDED, ("taurank resume runs/...",)),
    Typed(
        "taurank extend RUN --add timm:test_efficientnet --budget 1x",
        CONCLUDED,
        (
            "taurank extend runs/mine-TIME --add 'timm:resnet18' --add my_nets:make",
            "taurank extend runs/mine-TIME --budget 5x --baseline-seed 2",
        ),
        prints=("1 more candidate",),
    ),
    Typed(
        "taurank compare FIRST RUN",
        r"1, 2 +\d+ .*",
        ("taurank compare runs/first-TIME runs/second-TIME",),
        prints=("same at the top",),
    ),
    Typed("taurank plan cells.yaml", BUDGETS, ("taurank plan cells.yaml",)),
    Typed(
        "taurank plan cells.yaml --budget 1m",
        r"an epoch takes .* core seconds .*",
        ("taurank plan cells.yaml --budget 4h",),
        prints=("predicted tau: ",),
    ),
    Typed(
        "taurank plan cells.yaml --speed torchvision:resnet18=500",
        r"an epoch takes .* device seconds .*",
        (
            "taurank plan mobile-nets.yaml --speed timm:efficientnet_b0=2489 --budget '600 gpu-hours'",
            "taurank plan mobile-nets.yaml --speed speeds.csv",
        ),
        prints=("hours are an estimate: 0 of ",),
    ),
    Typed("taurank plan cells.yaml --budget 2x", BUDGETS, ("taurank plan cells.yaml --budget 20x",)),
    Typed(
        "taurank plan --space nasbench201 --candidates 1000 --epochs 200 --budget 10x",
        BUDGETS,
        prints=("predicted tau: ",),
    ),
    Typed(
        "taurank plan --space nasbench201 --data cifar10 --candidates 1000 --epochs 200 --tau 0.85",
        BUDGETS,
        prints=("predicted tau: ",),
    ),
    Typed(
        "taurank run cells.yaml --knowledge old.csv:metric=top1",
        CONCLUDED,
        ("taurank run cells.yaml --knowledge runs/earlier-TIME,old.csv:metric=top1",),
        prints=("knowledge: old .*4 of 4 candidates", "knowledge old .*weight 0"),
    ),
    Typed(
        "taurank extend RUN --knowledge none",
        CONCLUDED,
        (
            "taurank run cells.yaml --knowledge none",
            "taurank extend runs/mine-TIME --knowledge old.csv:metric=top1",
        ),
    ),
    Typed(
        "taurank data pack folder:photos --out photos.pack",
        r"photos\.pack: \d+ images of \d classes, .*",
        ("taurank data pack imagenet:/data/ILSVRC --out imagenet.pack", "taurank data pack imagenet:PATH --out FILE"),
    ),
    Typed(
        "taurank data check photos.pack",
        r"photos\.pack: \d+ images, all as they were packed",
        ("taurank data check imagenet.pack",),
    ),
    Typed(
        "taurank table import old.csv --space nasbench201 --data svhn --out old.parquet",
        r"written to old\.parquet; .*",
    ),
    Typed(
        "taurank run models.yaml --baseline",
        CONCLUDED,
        prints=(r"by val_loss \(lower is better\)", "tiny steps", "val_loss of 5 architectures.*lower is better"),
    ),
    Typed(
        """taurank extend RUN --add '{"alpha": 0.01, "rate": 0.1}'""",
        CONCLUDED,
        prints=("1 more candidate",),
    ),
    Typed(
        "taurank run cells.yaml --logger tensorboard --logger csv",
        CONCLUDED,
        (
            "taurank run cells.yaml",
            "taurank run cells.yaml --data-dir PATH",
            "taurank run quickstart",
            "taurank run nine-subnets --data-dir PATH",
            "taurank run nine-subnets-reference --data-dir PATH",
        ),
    ),
    Typed("taurank plan nine-subnets", r"note: the experiment defines its stages itself; .*"),
    Typed(
        "taurank extend RUN --stages more.yaml --candidates 5 --budget 1x",
        CONCLUDED,
        (
            "taurank extend runs/mine-TIME --stages more.yaml",
            "taurank extend runs/... --candidates 60 --budget 5x",
            "taurank extend runs/mine-TIME --candidates 60",
        ),
        prints=("1 more candidate",),
    ),
    Typed(
        "taurank run --models torchvision:mnasnet0_5,torchvision:mnasnet0_75,torchvision:mnasnet1_3"
        f" --data folder:photos {SMALL} --constraint 'params <= 3M'",
        CONCLUDED,
        ("taurank run --models 'torchvision:mnasnet*' --data digits --size 32 --constraint 'params <= 3M'",),
    ),
    Typed(
        "taurank search mine.yaml",
        WRITTEN,
        (
            "taurank search --space nasbench201 --data cifar10",
            "taurank search --space nasbench201 --data fashion-mnist --evaluations 60 --epochs 6"
            " --constraint 'latency <= 5ms'",
        ),
    ),
    Typed("taurank resume RUN", WRITTEN, ("taurank resume runs/NAME-TIME",)),
    Typed(
        "taurank extend RUN --evaluations 5",
        WRITTEN,
        (
            "taurank extend runs/found-TIME --evaluations 100",
            "taurank extend runs/NAME-TIME --evaluations 100",
        ),
    ),
    Typed(
        "taurank table import FIRST --out mine.parquet",
        r"written to mine\.parquet; .*",
        ("taurank table import SOURCE... --out FILE",),
    ),
    Typed(
        "taurank table import curves.csv --map architecture=net,epoch=epoch,value=acc,seconds=time"
        " --set metric=validation_accuracy,schedule_epochs=10,seed=0 --percent --space my-nets --data cifar10"
        " --out t.parquet",
        r"written to t\.parquet; .*",
        (
            "taurank table import FILES --out t.parquet",
            "taurank table import nb201_cifar10.parquet nb201_cifar10_proxies.parquet --out nb201.parquet",
        ),
    ),
    Typed("taurank table show t.parquet", r"truth +validation_accuracy .*", ("taurank table show FILE",)),
    Typed(
        "taurank replay --table t.parquet --policy 'order-settling: {goal: top}, asha' --metric validation_accuracy"
        " --candidates 20 --budget 2x --draws 1",
        r"regret: .*",
        (
            "taurank replay --table spikenas.parquet --policy order-settling,asha,uniform --candidates 100"
            " --budget 10x --draws 20",
            "taurank replay --table naap440.parquet --policy all --candidates 100 --period 3",
            "taurank replay --table mine.parquet --policy 'order-settling: {goal: top}, order-settling'"
            " --metric validation_loss --candidates 50",
        ),
    ),
    Typed(
        "taurank replay --table t.parquet --candidates 30 --budget 4x --draws 2 --truth last",
        r"reference: .*",
        (
            "taurank replay --table t.parquet --candidates 300 --budget 10x",
            "taurank replay --table nb201.parquet --candidates 1000 --budget 10x --draws 20 --truth 'seeds 1,2'"
            " --out results.csv",
        ),
    ),
    Typed(
        "taurank replay --table t.parquet --candidates 20 --policy all --budget 2x --draws 1",
        r"regret: .*",
        (
            "taurank replay --table t.parquet --candidates 100 --policy all",
            "taurank replay --table t.parquet --policy all --candidates 100 --budget 10x",
        ),
    ),
    Typed(
        "taurank plan --table t.parquet --candidates 30 --budget 4x --truth last",
        BUDGETS,
        ("taurank plan --table nb201.parquet --candidates 300 --budget 10x --truth 'seeds 1,2'",),
    ),
    Typed(
        "taurank proxies --space nasbench201 --option width=4 --candidates 3-s3-ns3,s-s3-1s3 --data digits"
        " --proxies jacob_cov,snip",
        r"all scores: scores\.csv",
        (
            "taurank proxies --space nasbench201 --candidates 1000 --data cifar10 --proxies all",
            "taurank proxies --space nasbench201 --option width=8 --candidates 3-s3-ns3,s-s3-1s3 --data digits"
            " --proxies jacob_cov,snip",
        ),
    ),
)
"""In the order in which a user comes across them; later ones go on with what earlier ones wrote."""

NOT_TYPED = {
    "taurank replay --table benchmarks/real_lists/own_code.parquet --truth test --candidates 24 --draws 5": (
        "from a clone; tests/benchmarks/test_real_lists.py reads such tables"
    ),
    "taurank run benchmarks/real_lists/own_code.yaml": "half an hour of trainings; the same",
    "taurank extend RUN --budget 2h": "it may take two hours; tests/orchestrator/runs/test_budgets_in_time.py",
    "taurank extend runs/mine-TIME --budget 2h": "the same",
    "make demo": "make test-all runs it",
    "make test": "runs this test",
    "taurank run quickstart --dashboard": "tests/orchestrator/cluster",
    "taurank run --address 127.0.0.2:6399": "benchmarks.system.faults",
    "taurank run mine.yaml --address auto --out /shared/runs": "benchmarks.system.jobs",
    "taurank serve runs/...": "tests/orchestrator/report/test_serving.py; it runs until Ctrl-C",
    "taurank status /shared/runs/mine-TIME": "the same as taurank status RUN",
    "taurank data pack imagenet:/data/ILSVRC --out /data/imagenet.packed": "tests/trainables/data/test_packed.py",
    "taurank run mobile-nets.yaml": "needs ImageNet; benchmarks.system.imagenet_list does the same in small",
    "taurank resume runs/mobile-nets-TIME": "the same",
    "taurank plan runs/mobile-nets-TIME": "the same as taurank plan RUN",
    "taurank run own.yaml": "tests/orchestrator/cli/test_own_space.py",
    "taurank spaces my_space:SmallNetworks": "tests/orchestrator/cli/test_own_space.py",
}
"""Documented commands that are not part of the session, each with what runs it or why nothing can."""
