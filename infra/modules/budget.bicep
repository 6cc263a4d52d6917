// The monthly budget of the resource group. Mails are sent when the actual cost reaches 80 and 100 percent of the budget.

@description('Amount of the budget in the currency of the subscription.')
@minValue(1)
param amount int

@description('First day of the budget: the first of a month. It cannot be changed later.')
param startDate string

@description('Action group that receives the notices; empty if there is none.')
param actionGroupId string

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'refresh-service'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: toObject(
      [80, 100],
      percent => 'actual${percent}',
      percent => {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: percent
        thresholdType: 'Actual'
        contactEmails: []
        contactRoles: ['Owner']
        contactGroups: empty(actionGroupId) ? [] : [actionGroupId]
      }
    )
  }
}
