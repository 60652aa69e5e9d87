internal import TapCore
internal import TapDocument

extension PlanDocument {
    init(_ plan: DevicePlan) {
        self.init(device: plan.name, steps: plan.steps, obstacle: plan.obstacle)
    }
}
