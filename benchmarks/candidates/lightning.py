"""Lightning's Trainer on the reference's net and DataLoader, with nothing beside training: its `barebones` mode."""

from typing import Any

from candidates import reference


def main() -> None:
    """Train, evaluate, print."""
    asked, clock = reference.arguments(), reference.Clock()
    reference.require("lightning", "torch", "torchvision")
    import lightning
    import torch
    from torch.nn import functional

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = reference.network()
            self.correct = 0

        def training_step(self, batch: Any) -> Any:
            images, labels = batch
            return functional.nll_loss(self.net(images), labels)

        def on_train_start(self) -> None:
            clock.start()

        def on_train_batch_end(self, *_: Any) -> None:
            clock.step()

        def on_train_end(self) -> None:
            clock.trained()

        def on_test_start(self) -> None:
            clock.start()

        def test_step(self, batch: Any) -> None:
            images, labels = batch
            self.correct += int((self.net(images).argmax(dim=1) == labels).sum())

        def on_test_end(self) -> None:
            clock.evaluated()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=reference.LR, momentum=reference.MOMENTUM)

    lightning.seed_everything(asked.seed)
    train, test = reference.loaders(asked.root, asked.images)
    module = Module()
    # No logger, checkpoints, bars, summary, sanity check: the fastest that its Trainer has.
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=asked.epochs, barebones=True)
    trainer.fit(module, train)
    trainer.test(module, test, verbose=False)
    params = sum(parameter.numel() for parameter in module.parameters())
    packages = reference.versions("torch", "torchvision", "lightning")
    known = {"threads": torch.get_num_threads(), "versions": packages}
    reference.emit(asked, clock, params=params, correct=module.correct, tested=len(test.dataset), **known)


if __name__ == "__main__":
    main()
