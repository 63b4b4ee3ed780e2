"""Which of two lists is better, said by a judge that does not know whose they are."""
