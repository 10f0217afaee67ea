"""Lipschitz constants of torch modules, known everywhere: a tensor's constant follows it through a module's forward."""
