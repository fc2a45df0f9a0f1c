"""A PyTorch loop as a task: its dropout and learning rate, searched by five methods at equal budget."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import nmt_pbt
from nmt_pbt.space.domains import Real
from nmt_pbt.space.space import Space
from nmt_pbt.tasks.protocol import Evaluation, MemberState, Objective, SearchableTask, TestResult, Trainable

x, y = map(torch.tensor, load_digits(return_X_y=True))
x = x.float() / 16
torch.set_num_threads(1)  # workers share the cores


class Loop(Trainable):
    """A network in training. What makes it: weights, momentum, and PyTorch's generator of masks and orders."""

    def reset(self, seed):
        torch.manual_seed(seed)
        self.epochs, self.dropout = 0, nn.Dropout()
        self.model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), self.dropout, nn.Linear(64, 10))
        self.sgd = torch.optim.SGD(self.model.parameters(), momentum=0.9)
        self.sgd.state.update({w: {"momentum_buffer": torch.zeros_like(w)} for w in self.model.parameters()})

    def reseed(self, seed):
        torch.manual_seed(seed)

    def tensors(self):
        momenta = [self.sgd.state[w]["momentum_buffer"] for w in self.model.parameters()]
        return self.model.state_dict(prefix="weights/") | {f"optimizer/{i}": one for i, one in enumerate(momenta)}

    def state(self):
        arrays = {name: tensor.numpy().copy() for name, tensor in self.tensors().items()}
        return MemberState({**arrays, "generator/torch": torch.get_rng_state().numpy()}, self.epochs)

    def load(self, state):
        self.reset(0)
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.tensor(state.arrays[name]))
        torch.set_rng_state(torch.tensor(state.arrays["generator/torch"]))
        self.epochs = state.age

    def set_hyperparameters(self, values):
        self.dropout.p, self.sgd.param_groups[0]["lr"] = values["dropout"], values["learning_rate"]

    def effective_values(self):
        return {"dropout": self.dropout.p, "learning_rate": self.sgd.param_groups[0]["lr"]}

    def train(self, pairs):
        for batch in (batch for _ in range(pairs) for batch in torch.randperm(400).split(32)):
            self.sgd.zero_grad()
            loss = nn.functional.cross_entropy(self.model.train()(x[batch]), y[batch])
            loss.backward()
            self.sgd.step()
        self.epochs += pairs
        return {"train_loss": loss.item()}

    @torch.no_grad()
    def evaluate(self, evidence=False, part=slice(400, 900)):
        return Evaluation({"val_loss": nn.functional.cross_entropy(self.model.eval()(x[part]), y[part]).item()})


class DigitsTask(SearchableTask):
    """What is trained, what is searched by which metric, and how a winner is tested."""

    name, data_digest = "digits in PyTorch", "scikit-learn's digits"
    search_space = Space((Real("dropout", 0.0, 0.8), Real("learning_rate", 1e-3, 1.0, "log")))
    searched_objective = Objective("val_loss", "min")

    def build(self, structural):
        return Loop()

    def test(self, trainable, run, name):
        return TestResult({"loss": trainable.evaluate(part=slice(900, None)).metrics["val_loss"]})


if __name__ == "__main__":
    print(nmt_pbt.compare_task(DigitsTask(), seeds=3, directory="pytorch").schedule)
