internal import TapCore
internal import TapDocument
internal import TapEngine

extension PlanDocument {
    init(_ plan: DevicePlan) {
        self.init(device: plan.name, steps: plan.steps, obstacle: plan.obstacle, effects: plan.effects)
    }
}
