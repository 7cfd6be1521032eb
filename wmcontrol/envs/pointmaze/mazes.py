"""The mazes of D4RL's maze2d, as it writes them, and the MuJoCo model it makes of one.

In D4RL's coordinates x counts rows of the text and y columns; a cell's coordinates are its row and column. The
particle's position 0 stands at 1.2 in the model and the wall of cell (i, j) at (i + 1, j + 1), so that the middle
of a free cell lies at its coordinates minus 0.2.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

MAZES = {
    "umaze": ("#####", "#GOO#", "###O#", "#OOO#", "#####"),
    "medium": (
        "########",
        "#OO##OO#",
        "#OO#OOO#",
        "##OOO###",
        "#OO#OOO#",
        "#O#OO#O#",
        "#OOO#OG#",
        "########",
    ),
    "large": (
        "############",
        "#OOOO#OOOOO#",
        "#O##O#O#O#O#",
        "#OOOOOO#OOO#",
        "#O####O###O#",
        "#OO#O#OOOOO#",
        "##O#O#O#O###",
        "#OO#OOO#OGO#",
        "############",
    ),
}
BODY_ORIGIN = 1.2  # where the particle stands in the model when its position is 0
WALL_ORIGIN = 1.0  # where the wall of cell (0, 0) has its centre in the model
BALL_RADIUS = 0.1  # of the particle's geometry; it is drawn as a disc of 0.2
MAX_SPEED = 5.0  # velocities are clipped to this before every action

_MODEL = """
<mujoco model="point_maze">
  <compiler inertiafromgeom="true" angle="radian"/>
  <option timestep="0.01" gravity="0 0 0" iterations="20" integrator="Euler"/>
  <default>
    <joint damping="{damping}" limited="false"/>
    <geom friction=".5 .1 .1" density="1000" margin="0.002" condim="1" contype="2" conaffinity="1"/>
  </default>
  <asset>
    {ground}
    <material name="wall" rgba=".7 .5 .3 1"/>
    <material name="target" rgba=".6 .3 .3 1"/>
  </asset>
  <visual>
    <headlight ambient=".4 .4 .4" diffuse=".8 .8 .8" specular="0.1 0.1 0.1"/>
    <map znear=".01"/>
    <quality shadowsize="2048"/>
    <global offwidth="{offscreen}" offheight="{offscreen}"/>
  </visual>
  <worldbody>
    <geom name="ground" size="40 40 0.25" pos="0 0 -0.1" type="plane" contype="1" conaffinity="0"
          material="groundplane"/>
    <body name="particle" pos="1.2 1.2 0">
      <geom name="particle_geom" type="sphere" size="{radius}" rgba="0.0 0.0 1.0 0.0" contype="1"{density}/>
      <site name="particle_site" pos="0.0 0.0 0" size="{site_radius}" rgba="0.3 0.6 0.3 1"/>
      <joint name="ball_x" type="slide" pos="0 0 0" axis="1 0 0"/>
      <joint name="ball_y" type="slide" pos="0 0 0" axis="0 1 0"/>
    </body>
    <site name="target_site" pos="0.0 0.0 0" size="0.2" material="target"/>
{walls}
  </worldbody>
  <actuator>
    <motor joint="ball_x" ctrlrange="-1.0 1.0" ctrllimited="true" gear="100"/>
    <motor joint="ball_y" ctrlrange="-1.0 1.0" ctrllimited="true" gear="100"/>
  </actuator>
</mujoco>
"""
_GROUND = """<texture type="2d" name="groundplane" builtin="checker" rgb1="0.2 0.3 0.4" rgb2="0.1 0.2 0.3"
             width="100" height="100"/>
    <texture name="skybox" type="skybox" builtin="gradient" rgb1=".4 .6 .8" rgb2="0 0 0" width="800" height="800"
             mark="random" markrgb="1 1 1"/>
    <material name="groundplane" texture="groundplane" texrepeat="20 20"/>"""
_PLAIN_GROUND = """<material name="groundplane"/>"""
_WALL = (
    """    <geom name="wall_{i}_{j}" type="box" conaffinity="1" material="wall" pos="{x} {y} 0" size="0.5 0.5 0.2"/>"""
)


@cache
def cells(maze: str, free: bool) -> NDArray[np.float64]:
    """Return the coordinates (k, 2) of a maze's free cells, or of its walls."""
    rows = MAZES[maze]
    found = [(i, j) for i, row in enumerate(rows) for j, cell in enumerate(row) if (cell != "#") == free]
    return np.array(found, float)


def model_xml(
    maze: str, *, agent_size: float = 1.0, friction: float = 1.0, textures: bool = True, offscreen: int = 640
) -> str:
    """Return the MuJoCo model of a maze.

    Args:
        maze: a key of MAZES.
        agent_size: times the ball's radius, at the same mass.
        friction: times the viscous friction of the ball's joints.
        textures: whether the model has D4RL's textures; without them it compiles in a tenth of the time.
        offscreen: the largest frame that MuJoCo can draw of the model, pixels.
    """
    walls = [_WALL.format(i=int(i), j=int(j), x=i + WALL_ORIGIN, y=j + WALL_ORIGIN) for i, j in cells(maze, free=False)]
    return _MODEL.format(
        damping=friction,
        ground=_GROUND if textures else _PLAIN_GROUND,
        radius=BALL_RADIUS * agent_size,
        density="" if agent_size == 1 else f' density="{1000 / agent_size**3}"',
        site_radius=2 * BALL_RADIUS * agent_size,
        offscreen=offscreen,
        walls="\n".join(walls),
    )
