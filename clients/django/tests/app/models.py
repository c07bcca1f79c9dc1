"""Models as apps have them."""

from django.db import models

from . import library  # noqa: F401 - more of them


class User(models.Model):
    name = models.CharField(max_length=100)


class Book(models.Model):
    title = models.CharField(max_length=100)
    readers = models.ManyToManyField(User, related_name="books", blank=True)


class Foo(models.Model):
    attr1 = models.CharField(max_length=20, blank=True)
    attr2 = models.CharField(max_length=20, blank=True)
