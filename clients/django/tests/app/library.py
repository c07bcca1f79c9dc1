"""Models in the ways that Django has for them: inheritance, proxies, keys and relations of several kinds."""

import uuid

from django.db import models

from django_tagalong.managers import CacheAwareManager


class Shelf(models.Model):
    name = models.CharField(max_length=40, blank=True)


class Volume(models.Model):
    """What moves from shelf to shelf."""

    isbn = models.CharField(max_length=20, unique=True, null=True)
    title = models.CharField(max_length=100, blank=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    stock = models.IntegerField(default=0)
    shelf = models.ForeignKey(Shelf, null=True, on_delete=models.SET_NULL, related_name="volumes")

    objects = CacheAwareManager()


class OldVolume(Volume):
    """The same rows by another name."""

    class Meta:
        proxy = True

    def shout(self) -> str:
        return self.title.upper()


class Atlas(Volume):
    """A table that inherits from another."""

    scale = models.IntegerField(default=1)


class Chapter(models.Model):
    """Goes with its volume."""

    volume = models.ForeignKey(Volume, on_delete=models.CASCADE, related_name="chapters")


class Keyed(models.Model):
    """Has keys of its own, as django-cacheme's users write them."""

    keys = models.JSONField(default=list)

    @property
    def cache_key(self) -> object:
        return self.keys


class Document(models.Model):
    """Its key is there before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=100, blank=True)


class Person(models.Model):
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")


class Club(models.Model):
    code = models.CharField(max_length=10, unique=True)
    members = models.ManyToManyField(Person, through="Membership", related_name="clubs")


class Choir(models.Model):
    """Both ends have a field for the same table."""

    singers: "models.ManyToManyField[Singer, Part]" = models.ManyToManyField(
        "Singer", through="Part", related_name="+"
    )


class Singer(models.Model):
    choirs = models.ManyToManyField(Choir, through="Part", related_name="+")


class Part(models.Model):
    choir = models.ForeignKey(Choir, on_delete=models.CASCADE)
    singer = models.ForeignKey(Singer, on_delete=models.CASCADE)


class Membership(models.Model):
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    club = models.ForeignKey(Club, to_field="code", on_delete=models.CASCADE)
    role = models.CharField(max_length=10, blank=True)


class Leaf(models.Model):
    """Django updates it through a manager that announces, too."""

    volume = models.ForeignKey(Volume, null=True, on_delete=models.CASCADE, related_name="leaves")

    objects = CacheAwareManager()

    class Meta:
        base_manager_name = "objects"
