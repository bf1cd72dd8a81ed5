"""From events to text: what a message says, plain and as HTML."""
