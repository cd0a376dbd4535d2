"""What is said of an exchange in which a side did not do its part. Pure."""

from __future__ import annotations

from bailee.errors import InputError, StorageError, UpstreamError


def redirects(status: int) -> UpstreamError:
    """An answer that sends its reader elsewhere."""
    return UpstreamError(
        f"The upstream redirects this request ({status}).",
        code="upstream_protocol",
        hint="whoever runs this gateway: set the upstream's URL to the address that it ends at;"
        " a redirect is not passed on, since following it would carry prompt and key there",
    )


def about_to_stop() -> StorageError:
    """Why nothing more is begun."""
    return StorageError(
        "The server is about to stop, and begins nothing more.",
        code="draining",
        hint="send it again: to another server, or in a moment",
    )


def answer_too_long() -> UpstreamError:
    """A kept answer past the bound: a record may not lack its end."""
    return UpstreamError(
        "The answer is longer than what can be kept of one exchange.", code="upstream_protocol"
    )


def upstream_silent(seconds: float) -> UpstreamError:
    """An upstream that said nothing for so long."""
    return UpstreamError(f"The upstream was silent for {seconds:g} s.", code="upstream_timeout")


def request_late() -> InputError:
    """A request that did not come in time, or too slowly."""
    return InputError("The request did not arrive in time.", code="request_timeout")


def request_too_large(limit: int) -> InputError:
    """A request over the limit, in bytes."""
    return InputError(
        f"The request is over the limit of {limit // (1024 * 1024)} MiB.",
        code="request_too_large",
        hint="the operator sets the limit: gateway.max_request_mb; for uploads with a credential "
        "of the client's own, gateway.max_upload_mb",
    )
