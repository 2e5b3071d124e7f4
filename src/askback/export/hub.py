"""Push an export folder to a hub, as a data set repository."""

from pathlib import Path

from askback.errors import InputError, MissingExtra


def push(folder: Path, name: str, private: bool = True) -> str:
    """Upload an export as it stands and return the data set's address.

    huggingface_hub finds the token itself: of `hf auth login`, or in the variable HF_TOKEN. It is no option here, so that
    it is in no file of a run and in no shell history.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        InputError: the hub refused, or cannot be reached; or `private` is asked, and a public data set has this name.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "local", "--push-to-hub") from error
    api = HfApi()
    try:
        made = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        # The hub ignores `private` for a data set that is there already.
        published = private and not api.repo_info(made.repo_id, repo_type="dataset").private
        if not published:
            api.upload_folder(
                repo_id=made.repo_id, repo_type="dataset", folder_path=folder, commit_message="Export from askback"
            )
    except HFValidationError as error:
        raise InputError(f"--push-to-hub {name}: not a name of a data set; it is written OWNER/NAME") from error
    except Exception as error:  # errors of its HTTP client are of no class of huggingface_hub
        raise InputError(
            f"--push-to-hub {name}: {' '.join(str(error).split())[:300]}. The export in {folder} is whole; log in with "
            "`hf auth login` or set HF_TOKEN, and run the same command again."
        ) from error
    if published:
        raise InputError(
            f"--push-to-hub {name}: is a public data set already, and an export is pushed to a private one; nothing was "
            "uploaded. Make it private in its settings, or give another name"
        )
    return str(made)
