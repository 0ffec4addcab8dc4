from django.db import migrations, models


def fill(apps, schema_editor):
    item = apps.get_model("items", "Item")
    item.objects.bulk_create(item(id=i, name=f"item {i}") for i in range(1, 4))


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Item", [("id", models.BigIntegerField(primary_key=True)),
                                        ("name", models.CharField(max_length=64))],
                               options={"db_table": "@TABLE@"}),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
