from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("items", "0001_first")]
    operations = [migrations.AddField("Item", "note", models.CharField(max_length=100, null=True))]
