"""The reference: the plain loop of the course's notebook, over torchvision's MNIST and a DataLoader."""

from candidates import reference


def main() -> None:
    """Train, evaluate, print."""
    asked, clock = reference.arguments(), reference.Clock()
    import torch
    from torch.nn import functional

    torch.manual_seed(asked.seed)
    train, test = reference.loaders(asked.root, asked.images)
    net = reference.network()
    optimizer = torch.optim.SGD(net.parameters(), lr=reference.LR, momentum=reference.MOMENTUM)
    clock.start()
    for _ in range(asked.epochs):
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
    known = {"threads": torch.get_num_threads(), "versions": reference.versions("torch", "torchvision")}
    reference.emit(asked, clock, params=params, correct=correct, tested=len(test.dataset), **known)


if __name__ == "__main__":
    main()
