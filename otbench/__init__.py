"""otbench"""
