// The parameters of main.bicep, read from the azd environment: `azd env set NAME VALUE`. Lists are separated by commas.

using 'main.bicep'

import { listOf, valueOr } from 'types.bicep'

var callerPairs = listOf(readEnvironmentVariable('CALLERS', ''))
var readerPairs = listOf(readEnvironmentVariable('READERS', ''))

param environmentName = valueOr(readEnvironmentVariable('AZURE_ENV_NAME', ''), 'refresh')
param location = valueOr(readEnvironmentVariable('AZURE_LOCATION', ''), 'westeurope')
param resourceGroupName = valueOr(readEnvironmentVariable('RESOURCE_GROUP_NAME', ''), 'rg-${environmentName}')
// for example {"cost-center": "4711"}
param tags = json(valueOr(readEnvironmentVariable('TAGS', ''), '{}'))
param plan = any(valueOr(readEnvironmentVariable('PLAN', ''), 'FlexConsumption'))
param pythonVersion = any(valueOr(readEnvironmentVariable('PYTHON_VERSION', ''), '3.12'))
param authMode = any(valueOr(readEnvironmentVariable('AUTH_MODE', ''), 'entra'))
param signInClientId = readEnvironmentVariable('SIGN_IN_CLIENT_ID', '')
// applicationId:objectId of each caller
param callers = json('[${join(map(callerPairs, pair => '{"applicationId":"${first(split(pair, ':'))}","objectId":"${last(split(pair, ':'))}"}'), ',')}]')
param readers = json('[${join(map(readerPairs, pair => '{"applicationId":"${first(split(pair, ':'))}","objectId":"${last(split(pair, ':'))}"}'), ',')}]')
param allowedWorkspaces = listOf(readEnvironmentVariable('ALLOWED_WORKSPACES', ''))
param callbackAllowedHosts = listOf(readEnvironmentVariable('CALLBACK_ALLOWED_HOSTS', ''))
// for example [{"name": "P1", "workspaces": ["GUID"], "refreshes": 3}]
param capacityLimits = json(valueOr(readEnvironmentVariable('CAPACITY_LIMITS', ''), '[]'))
param powerBiCloud = any(valueOr(readEnvironmentVariable('POWER_BI_CLOUD', ''), 'public'))
param privateNetwork = bool(valueOr(readEnvironmentVariable('PRIVATE_NETWORK', ''), 'false'))
param alwaysReadyInstances = int(valueOr(readEnvironmentVariable('ALWAYS_READY_INSTANCES', ''), '1'))
param maximumInstances = int(valueOr(readEnvironmentVariable('MAXIMUM_INSTANCES', ''), '40'))
param zoneRedundant = bool(valueOr(readEnvironmentVariable('ZONE_REDUNDANT', ''), 'false'))
param backend = any(valueOr(readEnvironmentVariable('BACKEND', ''), 'azureStorage'))
param schedulerIpAllowlist = listOf(valueOr(readEnvironmentVariable('SCHEDULER_IP_ALLOWLIST', ''), '0.0.0.0/0'))
param taskHubName = valueOr(readEnvironmentVariable('TASK_HUB_NAME', ''), 'refreshhub')
param retentionDays = int(valueOr(readEnvironmentVariable('RETENTION_DAYS', ''), '30'))
param logRetentionDays = int(valueOr(readEnvironmentVariable('LOG_RETENTION_DAYS', ''), '30'))
param logDailyCapGb = int(valueOr(readEnvironmentVariable('LOG_DAILY_CAP_GB', ''), '1'))
param alertMailAddress = readEnvironmentVariable('ALERT_MAIL_ADDRESS', '')
param expectedDatasets = listOf(readEnvironmentVariable('EXPECTED_DATASETS', ''))
param freshnessHours = int(valueOr(readEnvironmentVariable('FRESHNESS_HOURS', ''), '26'))
// for example {"01234567-89ab-cdef-0123-456789abcdef": 24}
param expectedEveryHours = json(valueOr(readEnvironmentVariable('EXPECTED_EVERY_HOURS', ''), '{}'))
param throttleThreshold = int(valueOr(readEnvironmentVariable('THROTTLE_THRESHOLD', ''), '10'))
param monthlyBudget = int(valueOr(readEnvironmentVariable('MONTHLY_BUDGET', ''), '0'))
// set once by infra/hooks/before_provision.py, because Azure does not let it change
param budgetStartDate = valueOr(readEnvironmentVariable('BUDGET_START_DATE', ''), '2026-01-01')
// for example {"POLL_MAX_SECONDS": "120"}
param tuning = json(valueOr(readEnvironmentVariable('TUNING', ''), '{}'))
