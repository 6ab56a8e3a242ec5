"""Lightning's Trainer in `barebones` mode, with the reference's network and DataLoader."""

from typing import Any

from candidates import reference


def main() -> None:
    """Train, evaluate, print."""
    options, clock = reference.arguments(), reference.Clock()
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

    lightning.seed_everything(options.seed)
    train, test = reference.loaders(options.root, options.images)
    module = Module()
    # No logger, checkpoints, progress bar, summary or sanity check: the Trainer's fastest mode.
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=options.epochs, barebones=True)
    trainer.fit(module, train)
    trainer.test(module, test, verbose=False)
    params = sum(parameter.numel() for parameter in module.parameters())
    packages = reference.versions("torch", "torchvision", "lightning")
    reference.emit(
        options,
        clock,
        params=params,
        correct=module.correct,
        tested=len(test.dataset),
        threads=torch.get_num_threads(),
        versions=packages,
    )


if __name__ == "__main__":
    main()
