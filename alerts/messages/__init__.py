"""From events to messages: title, plain text and HTML."""
