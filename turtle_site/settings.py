"""Django settings of the control plane. Values come from the `[control_plane]` table."""

from pathlib import Path
from typing import Any

from fleet.policy.errors import ConfigurationError
from tasks.settings import read_secret
from tasks.settings import settings as fleet_settings
from turtle_site.config import database, load_control_plane

BASE_DIR = Path(__file__).resolve().parent.parent
try:
    CONTROL = load_control_plane()
    FLEET = fleet_settings()
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

SECRET_KEY = read_secret(CONTROL.secret_key_file)
DEBUG = CONTROL.debug
ALLOWED_HOSTS = list(CONTROL.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(CONTROL.csrf_trusted_origins)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "ninja",
    "fleet",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "fleet.views.security.ContentSecurityPolicyMiddleware",
]
ROOT_URLCONF = "turtle_site.urls"
ASGI_APPLICATION = "turtle_site.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": database(
        CONTROL.database_url,
        read_secret(CONTROL.database_password_file) if CONTROL.database_password_file else "",
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
#: How the admin writes moments: 24 hours, with seconds and "UTC".
FORMAT_MODULE_PATH = "turtle_site.formats"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = FLEET.state_dir / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True

SECURE = not CONTROL.insecure_http
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = SECURE
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Turtle Fleet",
    "SITE_HEADER": "Turtle Fleet",
    "SITE_URL": "/",
    "SITE_SYMBOL": "hub",
    "SHOW_HISTORY": True,
    "COLORS": {
        "primary": {
            "50": "#e3f4ea",
            "100": "#c8ead7",
            "200": "#9bd8b8",
            "300": "#6fdca0",
            "400": "#3fbf8f",
            "500": "#1a8f68",
            "600": "#0b6e4f",
            "700": "#095a41",
            "800": "#084834",
            "900": "#063626",
            "950": "#031b13",
        }
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}
