"""The reference: the plain training loop of the course's notebook, with torchvision's MNIST and a DataLoader."""

from candidates import reference


def main() -> None:
    """Train, evaluate, print."""
    options, clock = reference.arguments(), reference.Clock()
    import torch
    from torch.nn import functional

    torch.manual_seed(options.seed)
    train, test = reference.loaders(options.root, options.images)
    net = reference.network()
    optimizer = torch.optim.SGD(net.parameters(), lr=reference.LR, momentum=reference.MOMENTUM)
    clock.start()
    for _ in range(options.epochs):
        for batch, labels in train:
            optimizer.zero_grad()
            functional.nll_loss(net(batch), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            clock.step()
    clock.trained()

    net.eval()
    correct = 0
    clock.start()
    with torch.no_grad():
        for batch, labels in test:
            correct += int((net(batch).argmax(dim=1) == labels).sum())
    clock.evaluated()
    params = sum(parameter.numel() for parameter in net.parameters())
    packages = reference.versions("torch", "torchvision")
    reference.emit(
        options,
        clock,
        params=params,
        correct=correct,
        tested=len(test.dataset),
        threads=torch.get_num_threads(),
        versions=packages,
    )


if __name__ == "__main__":
    main()
