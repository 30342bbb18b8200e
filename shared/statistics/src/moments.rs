//! What is known of a group's values without looking at its users: how many, their sum and their sum of squares.

/// A value per user, 0 for users without any. The sums are finite; as far as they are whole numbers below 2⁵³,
/// nothing is lost before the variance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    pub users: u64,
    pub sum: f64,
    pub sum_squares: f64,
}

/// Two values of each user: `y` the measured one, `x` one from before the experiment. Both are of the same users.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Paired {
    pub y: Moments,
    pub x: Moments,
    /// Of y times x, user by user.
    pub sum_products: f64,
}

/// What a comparison needs of a group: two users at least, and the variance of a user's value, not of the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub users: u64,
    pub mean: f64,
    pub variance: f64,
}

impl Moments {
    /// None of nobody.
    pub fn mean(self) -> Option<f64> {
        (self.users > 0).then(|| self.sum / self.users as f64)
    }

    /// The unbiased one, Σ(v − mean)² / (n − 1); None of fewer than two users.
    pub fn variance(self) -> Option<f64> {
        // Rounding of the sums may take it below 0.
        spread(self.users, self.sum_squares, self.sum, self.sum).map(|variance| variance.max(0.0))
    }

    pub fn summary(self) -> Option<Summary> {
        Some(Summary { users: self.users, mean: self.mean()?, variance: self.variance()? })
    }
}

impl Paired {
    /// The unbiased one, Σ(y − mean y)(x − mean x) / (n − 1); None of fewer than two users, and where y and x
    /// are not of equally many.
    pub fn covariance(self) -> Option<f64> {
        if self.y.users != self.x.users {
            return None;
        }
        spread(self.y.users, self.sum_products, self.y.sum, self.x.sum)
    }
}

impl Summary {
    /// The squared standard error of the mean.
    pub(crate) fn error_squared(self) -> f64 {
        self.variance / self.users as f64
    }
}

/// (n Σab − Σa Σb) / (n (n − 1)). The two products are nearly equal where values are large and alike, and their
/// rounding would be all that is left of the difference; fused operations keep what the first product loses
/// (Kahan's algorithm; Jeannerod, Louvet and Muller, *Mathematics of Computation* 82 (2013), 2245–2264).
fn spread(users: u64, sum_products: f64, sum_a: f64, sum_b: f64) -> Option<f64> {
    if users < 2 {
        return None;
    }
    let users = users as f64;
    let product = sum_a * sum_b;
    let lost = sum_a.mul_add(-sum_b, product);
    let difference = users.mul_add(sum_products, -product);
    Some((difference + lost) / (users * (users - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> Moments {
        Moments {
            users: values.len() as u64,
            sum: values.iter().sum(),
            sum_squares: values.iter().map(|value| value * value).sum(),
        }
    }

    /// numpy 2.4.6, cov(y, x): 32/7 and 29/7.
    #[test]
    fn mean_variance_and_covariance() {
        let (y, x) = ([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 5.0, 8.0]);
        let paired = Paired {
            y: moments(&y),
            x: moments(&x),
            sum_products: y.iter().zip(&x).map(|(y, x)| y * x).sum(),
        };
        assert_eq!(paired.y.mean(), Some(5.0));
        assert!((paired.y.variance().unwrap() - 32.0 / 7.0).abs() < 1e-14);
        assert!((paired.covariance().unwrap() - 29.0 / 7.0).abs() < 1e-14);
    }

    /// A thousand users of a million or a million and one: Σv Σv has more than 53 bits, and the plain formula
    /// is off in the fourth digit.
    #[test]
    fn large_values_that_hardly_differ() {
        let values: Vec<f64> = (0..1_000).map(|user| 1e6 + f64::from(user % 7 == 0)).collect();
        let given = moments(&values);
        let (with, users) = (143.0, 1_000.0);
        let truth = with * (users - with) / (users * (users - 1.0));
        assert!((given.variance().unwrap() / truth - 1.0).abs() < 1e-14, "{given:?}");
        let plain = (given.sum_squares - given.sum * given.sum / users) / (users - 1.0);
        assert!((plain / truth - 1.0).abs() > 1e-6, "{plain} is right as it is");
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        assert_eq!(Moments::default().mean(), None);
        assert_eq!(moments(&[3.0]).mean(), Some(3.0));
        assert_eq!(moments(&[3.0]).variance(), None);
        assert_eq!(moments(&[3.0]).summary(), None);
        let (y, x) = (moments(&[1.0, 2.0]), moments(&[1.0, 2.0, 3.0]));
        assert_eq!(Paired { y, x, sum_products: 5.0 }.covariance(), None);
        // The sum of squares was rounded on its way: never below 0.
        let rounded = Moments { users: 3, sum: 0.3, sum_squares: 0.029_999 };
        assert_eq!(rounded.variance(), Some(0.0));
    }
}
