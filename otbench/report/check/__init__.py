"""The check: rules that stored results must keep, and every place where they break one."""
