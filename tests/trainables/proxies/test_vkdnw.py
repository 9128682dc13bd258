import math

import pytest
import torch
from torch import nn

from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.sensitivities import entry_sensitivities
from taurank.trainables.proxies.vkdnw import Vkdnw, decile_entropy, fisher_directions


def a_batch(images=6, size=8):
    generator = torch.Generator().manual_seed(1)
    return ProxyBatch(torch.randn(images, 3, size, size, generator=generator), None, classes=5)


def a_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, groups=2), nn.GELU(),
        nn.GroupNorm(2, 6), nn.PReLU(6), nn.Flatten(2), nn.LayerNorm(16), nn.Flatten(), nn.Linear(96, 5),
    )  # fmt: skip


def each_logit(logits):
    n, classes = logits.shape
    return torch.eye(classes, dtype=torch.float64)[:, None, :].expand(classes, n, classes)


def one_by_one(network, images):
    """The same derivatives by a backward pass for every image and logit, (classes, n, parameters)."""
    logits = network(images)
    found = torch.zeros(logits.shape[1], len(images), len(list(network.parameters())), dtype=torch.float64)
    for image in range(len(images)):
        for logit in range(logits.shape[1]):
            gradients = torch.autograd.grad(
                logits[image, logit],
                list(network.parameters()),
                retain_graph=True,
                materialize_grads=True,
                allow_unused=True,
            )
            found[logit, image] = torch.stack([gradient.flatten()[0] for gradient in gradients])
    return found


def test_sensitivities_are_the_derivatives_of_each_image():
    network, images = a_network(), a_batch().images
    with torch.no_grad():  # batch normalisation with the statistics of this batch as constants
        features = network[0](images)
        network[1].running_mean.copy_(features.mean((0, 2, 3)))
        network[1].running_var.copy_(features.var((0, 2, 3), correction=0))
    expected = one_by_one(network.eval(), images)
    parameters = list(network.parameters())
    found, read = entry_sensitivities(network.train(), parameters, images, each_logit)
    assert read == list(range(len(parameters)))
    assert torch.allclose(found, expected, atol=1e-5)


def test_sensitivities_of_attention_and_of_a_weight_that_is_used_twice():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, stride=4)
            self.place = nn.Parameter(torch.randn(1, 4, 8))
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, activation="gelu", batch_first=True)
            self.twice = nn.Linear(8, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, images):
            tokens = self.patches(images).flatten(2).transpose(1, 2) + self.place
            return self.head(self.twice(self.twice(self.encoder(tokens)).relu()).mean(1))

    torch.manual_seed(0)
    network, images = Attention(), a_batch().images
    expected = one_by_one(network.eval(), images)
    parameters = list(network.parameters())
    found, read = entry_sensitivities(network.train(), parameters, images, each_logit)
    assert read == list(range(len(parameters)))
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_parameter_that_enters_transposed_or_in_place_is_not_read():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.transposed, self.added = nn.Parameter(torch.randn(5, 192)), nn.Parameter(torch.randn(5))
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, images):
            logits = images.flatten(1) @ self.transposed.t()
            logits += self.added
            return logits * self.scale

    network = Odd()
    _, read = entry_sensitivities(network, list(network.parameters()), a_batch().images, each_logit)
    assert read == [2]


@pytest.mark.parametrize("classes", [3, 16])
def test_directions_make_the_covariance_of_the_classes_exactly(classes):
    logits = torch.randn(4, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = fisher_directions(logits)
    p = logits.softmax(1)
    expected = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    assert torch.allclose(torch.einsum("knc,knd->ncd", u, u), expected, atol=1e-12)


def test_directions_of_many_classes_are_right_on_average():
    torch.manual_seed(0)
    logits = torch.randn(1, 20, dtype=torch.float64).expand(4000, 20)
    u = fisher_directions(logits)
    p = logits[0].softmax(0)
    expected = p.diag() - p[:, None] * p
    assert u.shape == (16, 4000, 20)
    mean = torch.einsum("knc,knd->cd", u, u) / 4000
    assert torch.allclose(mean, expected, atol=0.003)


def test_entropy_of_equal_eigenvalues_is_the_highest():
    assert decile_entropy(torch.full((20,), 3.0)) == pytest.approx(math.log(9))


def test_entropy_of_a_linear_spectrum():
    # Deciles of 0, 1, ..., 10 are 1, ..., 9.
    shares = [level / 45 for level in range(1, 10)]
    expected = -sum(share * math.log(share) for share in shares)
    assert decile_entropy(torch.arange(11.0)) == pytest.approx(expected)
    assert decile_entropy(1000 * torch.arange(11.0)) == pytest.approx(expected)


def test_entropy_of_a_spectrum_of_zeros_is_void():
    with pytest.raises(VoidScoreError, match="too few of the parameters"):
        decile_entropy(torch.tensor([0.0] * 10 + [1.0]))


def test_score_is_tensors_and_entropy_of_the_fisher_information():
    network, batch = a_network(), a_batch()
    again = a_network()
    jacobian, read = entry_sensitivities(again, list(again.parameters()), batch.images, each_logit)
    with torch.no_grad():
        features = network[0](batch.images)
        network[1].running_mean.copy_(features.mean((0, 2, 3)))
        network[1].running_var.copy_(features.var((0, 2, 3), correction=0))
        p = network.eval()(batch.images).softmax(1).double()
    fisher = torch.zeros(len(read), len(read), dtype=torch.float64)
    for image in range(6):
        j = jacobian[:, image]
        fisher += j.T @ (p[image].diag() - p[image][:, None] * p[image]) @ j / 6
    found = Vkdnw().score(Probe(a_network(), batch))
    assert found.value == pytest.approx(13 + decile_entropy(torch.linalg.eigvalsh(fisher)), rel=1e-6)
    assert found.coverage == 1


def test_does_not_depend_on_the_order_of_the_images():
    batch = a_batch()
    shuffled = ProxyBatch(batch.images[[4, 2, 0, 1, 5, 3]], None, classes=5)
    values = [Vkdnw().score(Probe(a_network(), images)).value for images in (batch, shuffled)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_does_not_depend_on_the_layout_in_memory():
    plain, channels_last = a_network(), a_network().to(memory_format=torch.channels_last)
    values = [Vkdnw().score(Probe(network, a_batch())).value for network in (plain, channels_last)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_too_few_parameters_are_void():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5))
    with pytest.raises(VoidScoreError, match="only 4 parameters"):
        Vkdnw().score(Probe(network, a_batch()))
