// The parameters of main.bicep, read from the azd environment: `azd env set NAME VALUE`. Lists are separated by commas.

using 'main.bicep'

var callerPairs = filter(split(replace(readEnvironmentVariable('CALLERS', ''), ' ', ''), ','), pair => !empty(pair))

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'refresh')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param resourceGroupName = readEnvironmentVariable('RESOURCE_GROUP_NAME', 'rg-${environmentName}')
param plan = readEnvironmentVariable('PLAN', 'FlexConsumption')
param pythonVersion = readEnvironmentVariable('PYTHON_VERSION', '3.12')
param authMode = readEnvironmentVariable('AUTH_MODE', 'entra')
param signInClientId = readEnvironmentVariable('SIGN_IN_CLIENT_ID', '')
// applicationId:objectId of each caller
param callers = json('[${join(map(callerPairs, pair => '{"applicationId":"${first(split(pair, ':'))}","objectId":"${last(split(pair, ':'))}"}'), ',')}]')
param allowedWorkspaces = filter(split(replace(readEnvironmentVariable('ALLOWED_WORKSPACES', ''), ' ', ''), ','), id => !empty(id))
param callbackAllowedHosts = filter(split(replace(readEnvironmentVariable('CALLBACK_ALLOWED_HOSTS', ''), ' ', ''), ','), host => !empty(host))
param powerBiCloud = readEnvironmentVariable('POWER_BI_CLOUD', 'public')
param privateNetwork = bool(readEnvironmentVariable('PRIVATE_NETWORK', 'false'))
param alwaysReadyInstances = int(readEnvironmentVariable('ALWAYS_READY_INSTANCES', '1'))
param maximumInstances = int(readEnvironmentVariable('MAXIMUM_INSTANCES', '40'))
param zoneRedundant = bool(readEnvironmentVariable('ZONE_REDUNDANT', 'false'))
param backend = readEnvironmentVariable('BACKEND', 'azureStorage')
param schedulerIpAllowlist = split(replace(readEnvironmentVariable('SCHEDULER_IP_ALLOWLIST', '0.0.0.0/0'), ' ', ''), ',')
param taskHubName = readEnvironmentVariable('TASK_HUB_NAME', 'refreshhub')
param retentionDays = int(readEnvironmentVariable('RETENTION_DAYS', '30'))
param logRetentionDays = int(readEnvironmentVariable('LOG_RETENTION_DAYS', '30'))
param logDailyCapGb = int(readEnvironmentVariable('LOG_DAILY_CAP_GB', '1'))
param alertMailAddress = readEnvironmentVariable('ALERT_MAIL_ADDRESS', '')
param expectedDatasets = filter(split(replace(readEnvironmentVariable('EXPECTED_DATASETS', ''), ' ', ''), ','), id => !empty(id))
param freshnessHours = int(readEnvironmentVariable('FRESHNESS_HOURS', '26'))
param throttleThreshold = int(readEnvironmentVariable('THROTTLE_THRESHOLD', '10'))
param monthlyBudget = int(readEnvironmentVariable('MONTHLY_BUDGET', '0'))
// set once by infra/hooks/before_provision.py, because Azure does not let it change
param budgetStartDate = readEnvironmentVariable('BUDGET_START_DATE', '2026-01-01')
// for example {"POLL_MAX_SECONDS": "120"}
param tuning = json(readEnvironmentVariable('TUNING', '{}'))
