"""Progress of a run."""

from __future__ import annotations

from tqdm import tqdm


class Progress:
    """Counts a run's answers and images and shows both in a progress bar, with the time left.

    The count is not the bar's own, which stays 0 while the bar is disabled, as on all ranks
    but the first.
    """

    def __init__(self, total: int, *, show: bool) -> None:
        """Start at 0 of `total` answers, with or without a bar."""
        self.done, self.total = 0, total
        self._images = 0
        self._bar = tqdm(total=total, unit="answer", desc="Perturbed", disable=not show)

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the bar."""
        self._bar.close()

    def add(self, answers: int) -> None:
        """Count more answers."""
        self.move_to(self.done + answers)

    def add_images(self, images: int) -> None:
        """Count more shown images, about which all questions of a call are answered."""
        self._images += images
        elapsed = self._bar.format_dict["elapsed"]
        if elapsed:
            self._bar.set_postfix_str(f"{self._images / elapsed:.2f} images/s", refresh=False)

    def move_to(self, done: int) -> None:
        """Set the count; smaller than before where answers have to be repeated."""
        self._bar.update(done - self.done)
        self.done = done
