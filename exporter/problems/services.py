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
            in_order(r"\b40[13] (Client Error|Forbidden|Unauthorized)", r"huggingface\.co/api/(repos|models)"),
            r"You don't have the rights to create a model under the namespace",
        ),
        "the model could not be pushed to Hugging Face",
        "give it a token that may write, or start without one",
        is_warning=True,
        outlives_progress=True,
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *("rror", "no-tty", "API key", "your choice", "429 ", "oo Many", "rate limit", "ailed", "ights to"),
    "ace.co/api",
)
