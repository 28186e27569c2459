"""The table of saved layouts of charts."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0025_price_alerts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SavedLayout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Unique among the layouts of the user.', max_length=100)),
                ('charts', models.JSONField(default=list, help_text="The query of the chart page's address for each of its 1, 2 or 4 charts; empty for an empty chart.")),
                ('same_symbol', models.BooleanField(default=False, help_text='Whether a symbol chosen in one chart is shown in all.')),
                ('saved_at', models.DateTimeField(default=django.utils.timezone.now, help_text='UTC.')),
                ('user', models.ForeignKey(help_text='Its owner; nobody else can read it through pages and API.', on_delete=django.db.models.deletion.CASCADE, related_name='layouts', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('name', 'pk'),
                'constraints': [models.UniqueConstraint(fields=('user', 'name'), name='one_layout_a_name')],
            },
        ),
    ]
