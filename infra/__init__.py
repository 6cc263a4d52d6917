"""The deployment: Bicep, its alerts and workbook, the package of the app, and the hooks around `azd up`."""
