"""What services elsewhere answer: wandb and Hugging Face. Pure."""

from exporter.problems.problem_class import define, in_order

SERVICES = (
    define(
        "wandb_login",
        (
            r"api_key not configured \(no-tty\)|No API key configured\. Use `wandb login`",
            r"(wandb:\s{1,4}|^\s*+)Enter your choice:",
        ),
        "wandb waits for a log-in without a terminal",
        "start the trainer with WANDB_MODE=offline",
    ),
    define(
        "download_limit",
        (
            in_order(r"\b429\b", r"(huggingface|\bhf\.co/)"),
            in_order("huggingface", r"(\b429\b|Too Many Requests)"),
            r"\bHfHubHTTPError: 429\b|We had to rate limit your IP",
        ),
        "Hugging Face limits the rate of downloads",
        "wait an hour, or log in with a token of your own",
        is_warning=True,
    ),
    define(
        "push_failed",
        (
            r"Failed to push model to the Hugging ?Face Hub",
            in_order(
                r"\b40[13] (Client Error|Forbidden|Unauthorized)",
                r"huggingface\.co/api/(repos/|\S{1,200}/(commit|preupload|branch)/)",
            ),
            r"You don't have the rights to create a model under the namespace",
        ),
        "the model could not be pushed to Hugging Face",
        "give it a token that may write, or start without one",
        is_warning=True,
        outlives_progress=True,
    ),
    define(
        "hub_missing",
        (
            r"\b(Repository|Revision)NotFoundError: |\b(Repository|Revision) Not Found for url: ",
            r"is not a local folder and is not a valid model identifier|is not a valid git identifier \(",
            r"\bdoes not appear to have a file named \S|\bDataset '\S{1,200}' doesn't exist on the Hub\b",
            r"\bCouldn't find (any data )?file at https?://",
            r"\b404 Client Error: Not Found for url: https://huggingface\.co/api/",
        ),
        "a model, data set, revision or file of it was not found",
        "check its name or path, and the revision; a private one needs a token that may read it",
    ),
    define(
        "hub_refused",
        (
            r"\bGatedRepoError: |\bCannot access gated repo for url\b|: You are trying to access a gated repo\.",
            r"\bAccess to (model|dataset) \S{1,200} is restricted\b|\bRepo model \S{1,200} is gated\.",
            r"\bis a gated dataset on the Hub|\bThe token from HF_TOKEN environment variable is invalid",
            in_order(
                r"\b40[13]\W{1,3}(status_text: )?(Client Error|Forbidden|Unauthorized)", r"(huggingface\.co|\bhf\.co)/"
            ),
        ),
        "Hugging Face refused access to a model or data set, or the token",
        "ask for access on its page if it is gated; log in with a token that holds and may read it",
    ),
    define(
        "hub_unreachable",
        (
            r"\bWe couldn't connect to '\S{1,200}' to load\b|\bLocalEntryNotFoundError: ",
            r"\bCouldn't reach ('\S{1,200}' on the Hub\b|https?://(\S{1,80}\.)?(huggingface|hf)\.co/)",
            r"\bHTTPSConnectionPool\(host='([\w.-]{1,80}\.)?(huggingface|hf)\.co'",
        ),
        "Hugging Face could not be reached",
        "check the network and any proxy; HF_HUB_OFFLINE=1 uses what is on the disk",
        is_warning=True,
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *(
        "NotFound",
        "GatedRepo",
        "no-tty",
        "API key",
        "your choice",
        "429 ",
        "oo Many",
        "rate limit",
        "ailed",
        "ights to",
        "Not Found",
    ),
    *("ace.co", "hf.co", "not a valid", "not appear", "restricted", "gated", "connect to", "the Hub", "HF_TOKEN"),
)
