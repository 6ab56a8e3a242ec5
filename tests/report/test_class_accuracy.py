"""Accuracy by class in reports."""

import numpy as np

from archsearch.report.class_accuracy import class_sentence, class_table

CONFUSION = np.array([[90.0, 10, 0, 0], [0, 5, 5, 0], [1, 0, 19, 0], [0, 0, 0, 0]])
CLASSES = ("cat", "dog", "eel", "fox")


def test_classes_come_with_the_lowest_accuracy_first() -> None:
    rows = [[cell.text for cell in row] for row in class_table(CONFUSION, CLASSES).rows]
    assert rows == [["dog", "10", "50.00", "eel"], ["cat", "100", "90.00", "dog"], ["eel", "20", "95.00", "cat"]]


def test_the_sentence_has_balanced_accuracy_and_the_lowest_classes() -> None:
    assert class_sentence("the leader", CONFUSION, CLASSES) == (
        "Balanced accuracy of the leader on the test set: 78.33 %;"
        " lowest on dog (50.00 %), cat (90.00 %), eel (95.00 %)"
    )
