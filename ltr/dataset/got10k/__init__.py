"""GOT-10k by its real layout."""

from __future__ import annotations

from ltr.dataset.got10k.dataset import GOT10k, open_split

__all__ = ["GOT10k", "open_split"]
