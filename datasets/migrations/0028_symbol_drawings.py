"""The table of drawings of users over the bars of symbols."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0027_live_state'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SymbolDrawings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('symbol', models.CharField(help_text="TradingView's form, EXCHANGE:SYMBOL; or an expression.", max_length=161)),
                ('drawings', models.JSONField(default=list, help_text='List of drawings, the undermost first: id, kind, points and text.')),
                ('version', models.PositiveBigIntegerField(default=1, help_text='Grows with each change.')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, help_text='UTC.')),
                ('user', models.ForeignKey(help_text='Their owner; nobody else can read them through pages and API.', on_delete=django.db.models.deletion.CASCADE, related_name='drawings', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'symbol drawings',
                'ordering': ('user', 'symbol'),
                'constraints': [models.UniqueConstraint(fields=('user', 'symbol'), name='one_drawings_a_symbol')],
            },
        ),
    ]
