"""Random changes of the training images, batch by batch, on the batch's device. `pipeline` combines them.

Random numbers come from torch's global generator, which the trainer seeds for each epoch.
"""
