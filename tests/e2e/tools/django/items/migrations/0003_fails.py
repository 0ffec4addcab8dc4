from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("items", "0002_note")]
    operations = [migrations.RunSQL("ALTER TABLE `@TABLE@` ADD COLUMN note varchar(100)")]
